"""Bytes to a stdout whose reader takes its time, or is gone."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamctl.raw_output import write_to

DATA = bytes(range(256)) * 4_000
"""Far more than a pipe holds."""


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def has_room(descriptor: int) -> bool:
    return bool(select.select([], [descriptor], [], 0)[1])


async def full(writing: asyncio.Task[None], descriptor: int) -> None:
    """Until the pipe holds all it can."""
    while has_room(descriptor):
        assert not writing.done()
        await asyncio.sleep(0)


def test_a_write_that_waits_for_its_reader_can_be_cancelled() -> None:
    async def story() -> None:
        with pipe() as (_, into):
            writing = asyncio.create_task(write_to(into, DATA))
            await full(writing, into)
            writing.cancel()
            await asyncio.wait([writing])
            assert writing.cancelled()

    asyncio.run(story())


def test_a_slow_reader_gets_everything() -> None:
    async def story() -> None:
        with pipe() as (out, into):
            writing = asyncio.create_task(write_to(into, DATA))
            await full(writing, into)
            taken = b""
            while len(taken) < len(DATA):
                taken += await asyncio.to_thread(os.read, out, 10_000)
            await writing
            assert taken == DATA

    asyncio.run(story())


def test_a_reader_that_goes_away_meanwhile_is_noticed() -> None:
    async def story() -> None:
        out, into = os.pipe()
        writing = asyncio.create_task(write_to(into, DATA))
        await full(writing, into)
        os.close(out)
        with pytest.raises(BrokenPipeError):
            await writing
        os.close(into)

    asyncio.run(story())


def test_a_file_takes_it_all(tmp_path: Path) -> None:
    path = tmp_path / "records"
    with path.open("wb") as file:
        asyncio.run(write_to(file.fileno(), DATA))
    assert path.read_bytes() == DATA

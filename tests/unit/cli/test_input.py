from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import BinaryIO

from streamctl.input import read_chunks


def open_file(path: Path) -> BinaryIO:
    return path.open("rb")


async def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"line\n" * 500_000)
    with open_file(path) as file:
        chunks = [chunk async for chunk in read_chunks(file.fileno())]
    assert b"".join(chunks) == path.read_bytes() and len(chunks) > 1


async def test_what_is_in_a_pipe_comes_at_once_and_waiting_can_be_cancelled() -> None:
    reading, writing = os.pipe()
    chunks = read_chunks(reading)
    os.write(writing, b"first")
    assert await anext(chunks) == b"first"
    waiting = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0)
    waiting.cancel()
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
    os.close(writing)
    os.close(reading)


async def test_a_closed_pipe_ends_the_input() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"all")
    os.close(writing)
    assert [chunk async for chunk in read_chunks(reading)] == [b"all"]
    os.close(reading)


async def test_the_null_device_is_empty() -> None:
    with open_file(Path(os.devnull)) as nothing:
        assert [chunk async for chunk in read_chunks(nothing.fileno())] == []

"""The bell and the two halves of a stream."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_broker.streams import Bell, run_halves


async def test_a_bell_rung_before_anybody_waits_is_remembered_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert await bell.wait(0.001)
    assert not await bell.wait(0.001)


async def test_a_bell_wakes_the_one_who_waits() -> None:
    bell = Bell()
    asyncio.get_running_loop().call_soon(bell.ring)
    assert await bell.wait()


async def test_a_stream_goes_on_when_the_reader_is_done_and_ends_with_the_writer() -> None:
    told: list[str] = []

    async def read() -> None:
        told.append("read")

    async def write() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        told.append("written")

    await run_halves(read(), write())
    assert told == ["read", "written"]


async def test_when_the_writer_is_done_the_reader_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def read() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await run_halves(read(), asyncio.sleep(0))
    assert cancelled.is_set()


@pytest.mark.parametrize("failing", ["reader", "writer"])
async def test_a_failure_of_one_half_ends_the_other_and_is_raised(failing: str) -> None:
    async def fail() -> None:
        raise LookupError(failing)

    async def wait() -> None:
        await asyncio.Event().wait()

    halves = (fail(), wait()) if failing == "reader" else (wait(), fail())
    with pytest.raises(LookupError, match=failing):
        await run_halves(*halves)


async def test_cancelling_ends_both_halves() -> None:
    ended: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    task = asyncio.ensure_future(run_halves(wait("reader"), wait("writer")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["reader", "writer"]

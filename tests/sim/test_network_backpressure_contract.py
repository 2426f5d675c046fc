"""What every Network does with more than its peer takes, real or simulated: it waits, or refuses."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_common.limits import MAX_MESSAGE_BYTES
from streamkeep_common.seams import Status
from tests.sim.contract_service import (
    ASK,
    CHUNK,
    FILL_LIMIT,
    TALK,
    Filled,
    Stream,
    Witness,
    blocks,
    fails_with,
    fill,
    never,
    serving,
    value,
)
from tests.sim.worlds import RunScenario, World, eventually


def test_a_client_waits_for_a_server_that_does_not_read(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        reads = asyncio.Event()
        sent: list[int] = []

        async def read_later(stream: Stream) -> None:
            await reads.wait()
            received = 0
            while await stream.receive() is not None:
                received += 1
            await stream.send(value(b"%d" % received))

        async with serving(world, talk=read_later) as channel:
            stream = channel.open(TALK)
            filling = asyncio.ensure_future(fill(stream.send, sent))
            await blocks(sent)
            reads.set()
            with pytest.raises(Filled):
                await filling
            await stream.half_close()
            assert await stream.receive() == value(b"%d" % FILL_LIMIT)

    run(scenario)


def test_a_server_waits_for_a_client_that_does_not_read(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        sent: list[int] = []

        async def pour(stream: Stream) -> None:
            with pytest.raises(Filled):
                await fill(stream.send, sent)

        async with serving(world, talk=pour) as channel:
            stream = channel.open(TALK)
            await eventually(lambda: len(sent) > 0)
            await blocks(sent)
            received = 0
            while await stream.receive() is not None:
                received += 1
            assert received == FILL_LIMIT

    run(scenario)


def test_a_send_that_is_given_up_ends_the_stream(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        handler = Witness(never)
        async with serving(world, talk=handler) as channel:
            stream = channel.open(TALK)
            sent: list[int] = []
            filling = asyncio.ensure_future(fill(stream.send, sent))
            await blocks(sent)
            filling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await filling
            async with fails_with(Status.CANCELLED):
                await stream.send(CHUNK)
            await eventually(lambda: handler.cancelled == 1)

    run(scenario)


def test_eight_mebibytes_go_through_both_ways(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        large = value(b"\x5a" * (8 << 20))
        async with serving(world) as channel:
            assert await channel.call(ASK, large, timeout_s=30) == large
            stream = channel.open(TALK)
            await stream.send(large)
            assert await stream.receive() == large
            stream.cancel()

    run(scenario)


def test_a_message_over_the_limit_is_refused_and_the_stream_lives(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        too_large = value(b"x" * MAX_MESSAGE_BYTES)
        async with serving(world) as channel:
            async with fails_with(Status.RESOURCE_EXHAUSTED):
                await channel.call(ASK, too_large, timeout_s=30)
            stream = channel.open(TALK)
            async with fails_with(Status.RESOURCE_EXHAUSTED):
                await stream.send(too_large)
            await stream.send(value(b"small"))
            assert await stream.receive() == value(b"small")
            stream.cancel()

    run(scenario)

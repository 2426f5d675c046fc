"""What every Network keeps of the messages on a stream, real or simulated."""

from __future__ import annotations

import asyncio

import pytest

from tests.sim.contract_service import TALK, Stream, Witness, blocks, echo_stream, fill, never, serving, value
from tests.sim.worlds import RunScenario, World


def test_messages_go_both_ways_in_order_until_the_client_half_closes(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        handler = Witness(echo_stream)
        async with serving(world, talk=handler) as channel:
            stream = channel.open(TALK)
            for number in range(50):
                await stream.send(value(b"%d" % number))
            await stream.half_close()
            for number in range(50):
                assert await stream.receive() == value(b"%d" % number)
            assert await stream.receive() is None
            assert await stream.receive() is None
            assert handler.finished == 1

    run(scenario)


def test_serialized_bytes_go_as_they_are(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        async with serving(world) as channel:
            stream = channel.open(TALK)
            await stream.send(value(b"as bytes").SerializeToString())
            assert await stream.receive() == value(b"as bytes")
            stream.cancel()

    run(scenario)


def test_a_server_may_stream_after_one_request_and_a_half_close(run: RunScenario) -> None:
    async def count(stream: Stream) -> None:
        assert await stream.receive() == value(b"3")
        assert await stream.receive() is None
        for number in range(3):
            await stream.send(value(b"%d" % number))

    async def scenario(world: World) -> None:
        async with serving(world, talk=count) as channel:
            stream = channel.open(TALK)
            await stream.send(value(b"3"))
            await stream.half_close()
            assert [(await stream.receive()) for _ in range(4)] == [
                *(value(b"%d" % number) for number in range(3)),
                None,
            ]

    run(scenario)


def test_a_client_that_sends_no_more_must_not_send(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        async with serving(world) as channel:
            stream = channel.open(TALK)
            await stream.half_close()
            with pytest.raises(RuntimeError, match="half_close"):
                await stream.send(value(b"more"))
            assert await stream.receive() is None

    run(scenario)


def test_a_receive_that_times_out_loses_nothing(run: RunScenario) -> None:
    async def patient_echo(stream: Stream) -> None:
        message = None
        while message is None:
            try:
                async with asyncio.timeout(0.01):
                    message = await stream.receive()
            except TimeoutError:
                continue
        await stream.send(message)

    async def scenario(world: World) -> None:
        async with serving(world, talk=patient_echo) as channel:
            stream = channel.open(TALK)
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await stream.receive()
            await stream.send(value(b"late"))
            assert await stream.receive() == value(b"late")
            assert await stream.receive() is None

    run(scenario)


def test_streams_do_not_wait_for_each_other(run: RunScenario) -> None:
    async def stall_or_echo(stream: Stream) -> None:
        if await stream.receive() == value(b"stall"):
            await never()
        await echo_stream(stream)

    async def scenario(world: World) -> None:
        async with serving(world, talk=stall_or_echo) as channel:
            stalled = channel.open(TALK)
            await stalled.send(value(b"stall"))
            sent: list[int] = []
            filling = asyncio.ensure_future(fill(stalled.send, sent))
            await blocks(sent)
            lively = channel.open(TALK)
            await lively.send(value(b"echo"))
            for _ in range(20):
                await lively.send(value(b"x" * 10_000))
                assert await lively.receive() == value(b"x" * 10_000)
            filling.cancel()
            stalled.cancel()
            lively.cancel()
            with pytest.raises(asyncio.CancelledError):
                await filling

    run(scenario)

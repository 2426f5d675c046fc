"""How a stream ends on every Network, real or simulated: last words, a failure, a side that goes."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_common.seams import RpcError, Status
from tests.sim.contract_service import (
    ASK,
    TALK,
    Stream,
    Witness,
    blocks,
    echo_stream,
    fails_with,
    fill,
    never,
    serving,
    value,
)
from tests.sim.worlds import RunScenario, World, eventually


def test_what_was_sent_before_an_error_arrives_before_it(run: RunScenario) -> None:
    async def send_and_fail(stream: Stream) -> None:
        await stream.send(value(b"last words"))
        raise RpcError(Status.ABORTED, "enough")

    async def scenario(world: World) -> None:
        async with serving(world, talk=send_and_fail) as channel:
            stream = channel.open(TALK)
            assert await stream.receive() == value(b"last words")
            async with fails_with(Status.ABORTED):
                await stream.receive()
            async with fails_with(Status.ABORTED):
                await stream.receive()

    run(scenario)


@pytest.mark.parametrize("status", [None, Status.ABORTED])
def test_a_send_that_comes_too_late_loses_neither_last_words_nor_status(
    run: RunScenario, status: Status | None
) -> None:
    async def answer_once(stream: Stream) -> None:
        await stream.receive()
        await stream.send(value(b"last words"))
        if status is not None:
            raise RpcError(status, "enough")

    async def scenario(world: World) -> None:
        async with serving(world, talk=answer_once) as channel:
            stream = channel.open(TALK)
            with pytest.raises(RpcError):
                async with asyncio.timeout(10):
                    while True:
                        await stream.send(value(b"x" * 1000))
            assert await stream.receive() == value(b"last words")
            if status is None:
                assert await stream.receive() is None
            else:
                async with fails_with(status):
                    await stream.receive()

    run(scenario)


def test_a_handler_that_fails_while_it_sends_tells_its_client(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        async def give_up(stream: Stream) -> None:
            sending = asyncio.ensure_future(stream.send(value(b"cut short")))
            await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            raise RpcError(Status.INVALID_ARGUMENT, "enough")

        async with serving(world, talk=give_up) as channel:
            stream = channel.open(TALK)
            async with fails_with(Status.INVALID_ARGUMENT):
                while await stream.receive() is not None:
                    pass

    run(scenario)


def test_a_send_that_is_cut_short_by_a_client_that_goes_is_no_complaint(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        given_up = asyncio.Event()

        async def give_up(stream: Stream) -> None:
            sent: list[int] = []
            sending = asyncio.ensure_future(fill(stream.send, sent))
            await blocks(sent)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            given_up.set()
            await never()

        handler = Witness(give_up)
        async with serving(world, talk=handler) as channel:
            stream = channel.open(TALK)
            await given_up.wait()
            stream.cancel()
            await eventually(lambda: handler.cancelled == 1)

    run(scenario)


def test_a_bug_in_a_stream_handler_is_an_internal_error(
    run: RunScenario, caplog: pytest.LogCaptureFixture
) -> None:
    async def stumble(_stream: Stream) -> None:
        raise LookupError("a bug")

    async def scenario(world: World) -> None:
        async with serving(world, talk=stumble) as channel, fails_with(Status.INTERNAL):
            await channel.open(TALK).receive()

    run(scenario)
    assert "a bug" in caplog.text


def test_cancelling_a_stream_ends_both_sides(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        handler = Witness(echo_stream)
        async with serving(world, talk=handler) as channel:
            stream = channel.open(TALK)
            await stream.send(value(b"hello"))
            await stream.receive()
            pending = asyncio.ensure_future(stream.receive())
            await asyncio.sleep(0)
            stream.cancel()
            async with fails_with(Status.CANCELLED):
                await pending
            async with fails_with(Status.CANCELLED):
                await stream.send(value(b"more"))
            await eventually(lambda: handler.cancelled == 1)
            assert handler.finished == 0

    run(scenario)


def test_a_stream_can_be_cancelled_before_it_was_used(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        async with serving(world) as channel:
            stream = channel.open(TALK)
            stream.cancel()
            stream.cancel()
            async with fails_with(Status.CANCELLED):
                await stream.receive()

    run(scenario)


def test_closing_a_channel_cancels_everything_under_way(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        handler = Witness(echo_stream)
        asked = Witness(never)
        async with serving(world, talk=handler, ask=asked) as channel:
            stream = channel.open(TALK)
            await stream.send(value(b"hello"))
            await stream.receive()
            receiving = asyncio.ensure_future(stream.receive())
            calling = asyncio.ensure_future(channel.call(ASK, value(b""), timeout_s=60))
            await eventually(lambda: asked.started == 1)
            await channel.close()
            async with fails_with(Status.CANCELLED):
                await receiving
            async with fails_with(Status.CANCELLED):
                await calling
            async with fails_with(Status.CANCELLED):
                await channel.call(ASK, value(b""), timeout_s=5)
            with pytest.raises(RpcError):
                channel.open(TALK)
            await eventually(lambda: handler.cancelled == 1 and asked.cancelled == 1)

    run(scenario)

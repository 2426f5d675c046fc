"""What every Network keeps of a call with one answer, real or simulated."""

from __future__ import annotations

import asyncio
import logging

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common.seams import CallInfo, RpcError, Status, StreamMethod, UnaryMethod
from tests.sim.contract_service import (
    ASK,
    NAME,
    TALK,
    Stream,
    Witness,
    fails_with,
    listen,
    never,
    serving,
    value,
)
from tests.sim.worlds import RunScenario, World, eventually


def test_a_call_is_answered(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        async with serving(world) as channel:
            assert await channel.call(ASK, value(b"question"), timeout_s=5) == value(b"question")

    run(scenario)


def test_a_handler_knows_its_caller(run: RunScenario) -> None:
    async def who(_request: BytesValue, info: CallInfo) -> BytesValue:
        return value(info.peer.encode())

    async def scenario(world: World) -> None:
        async with serving(world, ask=who) as channel:
            assert (await channel.call(ASK, value(b""), timeout_s=5)).value

    run(scenario)


def test_the_status_that_a_handler_raises_reaches_the_caller(run: RunScenario) -> None:
    async def refuse(_request: BytesValue, _info: CallInfo) -> BytesValue:
        raise RpcError(Status.FAILED_PRECONDITION, "not today")

    async def scenario(world: World) -> None:
        async with serving(world, ask=refuse) as channel:
            with pytest.raises(RpcError, match="not today") as caught:
                await channel.call(ASK, value(b""), timeout_s=5)
            assert caught.value.status is Status.FAILED_PRECONDITION

    run(scenario)


def test_a_bug_in_a_handler_is_logged_and_not_told(
    run: RunScenario, caplog: pytest.LogCaptureFixture
) -> None:
    async def stumble(_request: BytesValue, _info: CallInfo) -> BytesValue:
        raise LookupError("the secret is 42")

    async def scenario(world: World) -> None:
        async with serving(world, ask=stumble) as channel:
            with pytest.raises(RpcError) as caught:
                await channel.call(ASK, value(b""), timeout_s=5)
            assert caught.value.status is Status.INTERNAL
            assert "42" not in caught.value.detail

    with caplog.at_level(logging.ERROR):
        run(scenario)
    assert "the secret is 42" in caplog.text


def test_a_call_ends_at_its_deadline_and_so_does_its_handler(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        handler = Witness(never)
        async with serving(world, ask=handler) as channel:
            async with fails_with(Status.DEADLINE_EXCEEDED):
                await channel.call(ASK, value(b""), timeout_s=0.2)
            await eventually(lambda: handler.cancelled == 1)

    run(scenario)


def test_a_caller_that_gives_up_ends_its_handler(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        handler = Witness(never)
        async with serving(world, ask=handler) as channel:
            call = asyncio.ensure_future(channel.call(ASK, value(b""), timeout_s=60))
            await eventually(lambda: handler.started == 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await eventually(lambda: handler.cancelled == 1)

    run(scenario)


def test_an_unknown_method_is_unimplemented(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        async with serving(world) as channel:
            async with fails_with(Status.UNIMPLEMENTED):
                unknown = UnaryMethod(f"/{NAME}/Unknown", BytesValue, BytesValue)
                await channel.call(unknown, value(b""), timeout_s=5)
            async with fails_with(Status.UNIMPLEMENTED):
                await channel.open(StreamMethod("/nowhere.v1.No/Such", BytesValue, BytesValue)).receive()

    run(scenario)


def test_a_server_that_is_not_there_is_unavailable(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        listener = await listen(world)
        await listener.stop(0)
        channel = world.client_network.dial(listener.address)
        async with fails_with(Status.UNAVAILABLE):
            await channel.call(ASK, value(b""), timeout_s=5)
        async with fails_with(Status.UNAVAILABLE):
            await channel.open(TALK).receive()
        await channel.close()

    run(scenario)


def test_a_request_that_does_not_parse_is_an_invalid_argument(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        async with serving(world) as channel:
            stream = channel.open(TALK)
            await stream.send(b"\xff\xff\xff")
            async with fails_with(Status.INVALID_ARGUMENT):
                await stream.receive()

    run(scenario)


def test_an_answer_that_does_not_parse_is_an_internal_error(run: RunScenario) -> None:
    async def garble(stream: Stream) -> None:
        await stream.send(b"\xff\xff\xff")

    async def scenario(world: World) -> None:
        async with serving(world, talk=garble) as channel, fails_with(Status.INTERNAL):
            await channel.open(TALK).receive()

    run(scenario)

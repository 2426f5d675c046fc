"""What every Network keeps, real or simulated."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common.limits import MAX_MESSAGE_BYTES
from streamkeep_common.seams import (
    CallInfo,
    Channel,
    Listener,
    RpcError,
    ServerStream,
    Service,
    Status,
    StreamMethod,
    UnaryMethod,
)
from tests.sim.worlds import SERVER_HOST, RunScenario, World, eventually

NAME = "contract.v1.Contract"
ASK = UnaryMethod(f"/{NAME}/Ask", BytesValue, BytesValue)
TALK = StreamMethod(f"/{NAME}/Talk", BytesValue, BytesValue)

Stream = ServerStream[BytesValue, BytesValue]
StreamFunction = Callable[[Stream], Awaitable[None]]
UnaryFunction = Callable[[BytesValue, CallInfo], Awaitable[BytesValue]]


def value(data: bytes) -> BytesValue:
    return BytesValue(value=data)


async def echo(request: BytesValue, _info: CallInfo) -> BytesValue:
    return request


async def echo_stream(stream: Stream) -> None:
    while (message := await stream.receive()) is not None:
        await stream.send(message)


class Witness:
    """Wraps a handler and remembers how it ended."""

    def __init__(self, handler: Callable[..., Awaitable[Any]]) -> None:
        self._handler = handler
        self.started = 0
        self.cancelled = 0
        self.finished = 0

    async def __call__(self, *arguments: Any) -> Any:
        self.started += 1
        try:
            result = await self._handler(*arguments)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.finished += 1
        return result


async def never(*_arguments: Any) -> Any:
    await asyncio.get_running_loop().create_future()


async def listen(
    world: World,
    *,
    ask: UnaryFunction = echo,
    talk: StreamFunction = echo_stream,
    address: str = f"{SERVER_HOST}:0",
) -> Listener:
    return await world.server_network.serve(address, [Service(NAME, {ASK: ask}, {TALK: talk})])


@asynccontextmanager
async def serving(
    world: World, *, ask: UnaryFunction = echo, talk: StreamFunction = echo_stream
) -> AsyncIterator[Channel]:
    listener = await listen(world, ask=ask, talk=talk)
    channel = world.client_network.dial(listener.address)
    try:
        yield channel
    finally:
        await channel.close()
        await listener.stop(0)


@asynccontextmanager
async def fails_with(status: Status) -> AsyncIterator[None]:
    with pytest.raises(RpcError) as caught:
        async with asyncio.timeout(10):
            yield
    assert caught.value.status is status, caught.value


# --- Unary calls ---


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


# --- Streams ---


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


# --- Backpressure and size ---

CHUNK = value(b"x" * 100_000)
FILL_LIMIT = 400
"""More chunks than any window holds: 40 MB."""


class Filled(Exception):  # noqa: N818
    """Everything was taken, although nobody read."""


async def fill(send: Callable[[BytesValue], Awaitable[None]], sent: list[int]) -> None:
    for number in range(FILL_LIMIT):
        await send(CHUNK)
        sent.append(number)
    raise Filled


async def blocks(sent: list[int]) -> None:
    """Wait until nothing moves for a while: the sender waits for its peer."""
    before = -1
    async with asyncio.timeout(10):
        while len(sent) > before:
            before = len(sent)
            await asyncio.sleep(0.25)
    assert 0 < len(sent) < FILL_LIMIT


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


# --- Listeners ---


def test_a_taken_port_and_a_foreign_address_are_os_errors(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        listener = await listen(world)
        with pytest.raises(OSError, match=listener.address) as caught:
            await listen(world, address=listener.address)
        assert caught.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError, match=r"192\.0\.2\.1") as caught:
            await listen(world, address="192.0.2.1:0")
        assert caught.value.errno == errno.EADDRNOTAVAIL
        await listener.stop(0)

    run(scenario)


def test_stopping_lets_handlers_finish_within_the_grace(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        may_finish = asyncio.Event()

        async def finish(request: BytesValue, _info: CallInfo) -> BytesValue:
            await may_finish.wait()
            return request

        handler = Witness(finish)
        listener = await listen(world, ask=handler)
        channel = world.client_network.dial(listener.address)
        call = asyncio.ensure_future(channel.call(ASK, value(b"hi"), timeout_s=30))
        await eventually(lambda: handler.started == 1)
        stopping = asyncio.ensure_future(listener.stop(30))
        await asyncio.sleep(0.02)
        assert not stopping.done()
        may_finish.set()
        assert await call == value(b"hi")
        await stopping
        async with fails_with(Status.UNAVAILABLE):
            await channel.call(ASK, value(b"too late"), timeout_s=5)
        await channel.close()

    run(scenario)


def test_stopping_cancels_what_outlasts_the_grace_and_tells_clients_to_come_again(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        asked, talking = Witness(never), Witness(echo_stream)
        listener = await listen(world, ask=asked, talk=talking)
        channel = world.client_network.dial(listener.address)
        stream = channel.open(TALK)
        await stream.send(value(b"hello"))
        assert await stream.receive() == value(b"hello")
        call = asyncio.ensure_future(channel.call(ASK, value(b""), timeout_s=30))
        await eventually(lambda: asked.started == 1)
        async with asyncio.timeout(5):
            await listener.stop(0.05)
        assert (asked.cancelled, talking.cancelled) == (1, 1)
        async with fails_with(Status.UNAVAILABLE):
            await stream.receive()
        async with fails_with(Status.UNAVAILABLE):
            await call
        await channel.close()

    run(scenario)


def test_a_channel_finds_a_restarted_server_within_a_second(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        listener = await listen(world)
        channel = world.client_network.dial(listener.address)
        assert await channel.call(ASK, value(b"1"), timeout_s=5) == value(b"1")
        await listener.stop(0)
        for _ in range(20):  # let any backoff grow
            async with fails_with(Status.UNAVAILABLE):
                await channel.call(ASK, value(b"2"), timeout_s=5)
            await asyncio.sleep(0.02)
        again = await listen(world, address=listener.address)
        async with asyncio.timeout(1):
            while True:
                try:
                    assert await channel.call(ASK, value(b"3"), timeout_s=5) == value(b"3")
                    break
                except RpcError as error:
                    assert error.status is Status.UNAVAILABLE
                    await asyncio.sleep(0.01)
        await channel.close()
        await again.stop(0)

    run(scenario)

"""The service that the contract suites of Network call: what it answers is up to each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

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
from tests.sim.worlds import SERVER_HOST, World

NAME = "contract.v1.Contract"
ASK = UnaryMethod(f"/{NAME}/Ask", BytesValue, BytesValue)
TALK = StreamMethod(f"/{NAME}/Talk", BytesValue, BytesValue)

Stream = ServerStream[BytesValue, BytesValue]
StreamFunction = Callable[[Stream], Awaitable[None]]
UnaryFunction = Callable[[BytesValue, CallInfo], Awaitable[BytesValue]]

CHUNK = BytesValue(value=b"x" * 100_000)
FILL_LIMIT = 400
"""More chunks than any window holds: 40 MB."""


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

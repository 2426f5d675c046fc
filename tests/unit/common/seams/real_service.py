"""A service with one call and one stream, served by gRPC on a port of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common.seams import CallInfo, Listener, ServerStream, Service, StreamMethod, UnaryMethod
from streamkeep_common.seams.real.network import GrpcNetwork

ASK = UnaryMethod("/real.v1.Real/Ask", BytesValue, BytesValue)

TALK = StreamMethod("/real.v1.Real/Talk", BytesValue, BytesValue)


async def ask(request: BytesValue, _info: CallInfo) -> BytesValue:
    return request


async def talk(stream: ServerStream[BytesValue, BytesValue]) -> None:
    while (message := await stream.receive()) is not None:
        await stream.send(message)


REAL = Service("real.v1.Real", {ASK: ask}, {TALK: talk})


@asynccontextmanager
async def listening(*services: Service) -> AsyncIterator[Listener]:
    listener = await GrpcNetwork().serve("127.0.0.1:0", services or [REAL])
    try:
        yield listener
    finally:
        await listener.stop(0)


async def assert_serves(listener: Listener) -> None:
    channel = GrpcNetwork().dial(listener.address)
    assert await channel.call(ASK, BytesValue(value=b"still there"), timeout_s=5)
    await channel.close()

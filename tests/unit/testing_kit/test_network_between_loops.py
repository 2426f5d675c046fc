"""The network in memory between two loops. What it keeps within one is told in tests/sim."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common.seams import (
    CallInfo,
    RpcError,
    ServerStream,
    Service,
    Status,
    StreamMethod,
    UnaryMethod,
)
from streamkeep_common.seams.memory.network import MemoryNetwork

T = TypeVar("T")
ASK = UnaryMethod("/test.Service/Ask", BytesValue, BytesValue)
TALK = StreamMethod("/test.Service/Talk", BytesValue, BytesValue)


class Server:
    """Echoes, in a thread and a loop of its own."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.ended: list[str] = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    async def echo(self, request: BytesValue, _info: CallInfo) -> BytesValue:
        return request

    async def talk(self, stream: ServerStream[BytesValue, BytesValue]) -> None:
        try:
            while (message := await stream.receive()) is not None:
                await stream.send(message)
            self.ended.append("well")
        except (RpcError, asyncio.CancelledError):
            self.ended.append("alone")
            raise

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, str]]:
    server = Server()
    server.thread.start()
    services = [Service("test.Service", {ASK: server.echo}, {TALK: server.talk})]
    listener = server.call(server.network.serve("server.in-process:0", services))
    try:
        yield server, listener.address
    finally:
        if not server.loop.is_closed():
            server.call(listener.stop(0))
            server.end()


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_messages_arrive_in_order_and_beyond_the_window() -> None:
    async with serving() as (server, address):
        channel = MemoryNetwork().dial(address)
        stream = channel.open(TALK)

        async def send() -> None:
            for number in range(400):
                await stream.send(BytesValue(value=number.to_bytes(2, "big") * 10_000))
            await stream.half_close()

        sending = asyncio.ensure_future(send())
        heard = []
        while (message := await stream.receive()) is not None:
            heard.append(int.from_bytes(message.value[:2], "big"))
        await sending
        assert heard == list(range(400))
        await until(lambda: server.ended == ["well"])
        await channel.close()


async def test_calls_are_answered() -> None:
    async with serving() as (_, address):
        channel = MemoryNetwork().dial(address)
        answers = await asyncio.gather(
            *(channel.call(ASK, BytesValue(value=bytes([n])), timeout_s=10) for n in range(50))
        )
        assert [answer.value for answer in answers] == [bytes([n]) for n in range(50)]
        await channel.close()


async def test_a_client_whose_loop_was_closed_has_gone() -> None:
    """As when a program ends its loop without closing its client: the next message finds out."""
    async with serving() as (server, address):
        opened = []

        async def leave_without_a_word() -> None:
            opened.append(MemoryNetwork().dial(address).open(TALK))
            await opened[0].send(BytesValue(value=b"x"))
            await opened[0].receive()

        await asyncio.to_thread(asyncio.run, leave_without_a_word())
        opened[0].peer.tell(opened[0].peer.arrive, BytesValue(value=b"late").SerializeToString())
        await until(lambda: server.ended == ["alone"])


async def test_a_server_whose_loop_was_closed_is_unavailable() -> None:
    async with serving() as (server, address):
        channel = MemoryNetwork().dial(address)
        server.end()
        with pytest.raises(RpcError) as caught:
            await channel.call(ASK, BytesValue(value=b"x"), timeout_s=10)
        assert caught.value.status is Status.UNAVAILABLE
        server.network.kill()


async def test_the_connections_of_a_killed_server_break() -> None:
    async with serving() as (server, address):
        channel = MemoryNetwork().dial(address)
        stream = channel.open(TALK)
        await stream.send(BytesValue(value=b"x"))
        await stream.receive()
        server.loop.call_soon_threadsafe(server.network.kill)
        with pytest.raises(RpcError, match="Connection closed by the server"):
            await stream.receive()
        with pytest.raises(RpcError, match="nobody serves"):
            await channel.call(ASK, BytesValue(value=b"x"), timeout_s=10)
        with pytest.raises(OSError, match="was killed"):
            await server.network.serve("server.in-process:0", [])


async def test_a_forked_child_is_told_where_its_cluster_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as (_, address):
        monkeypatch.setattr("os.getpid", lambda: 1)
        with pytest.raises(RuntimeError, match="processes=True"):
            MemoryNetwork().dial(address).open(TALK)
        monkeypatch.undo()

"""gRPC in processes that are killed, forked, or silent about what goes wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common.seams import ServerStream, Service
from streamkeep_common.seams.real.network import GrpcNetwork
from tests.sim.worlds import eventually
from tests.unit.common.seams.real_service import ASK, TALK, listening, talk

CLIENT = """
import asyncio, sys
from google.protobuf.wrappers_pb2 import BytesValue
from streamkeep_common.seams import StreamMethod
from streamkeep_common.seams.real.network import GrpcNetwork

async def main():
    stream = GrpcNetwork().dial(sys.argv[1]).open(StreamMethod("/real.v1.Real/Talk", BytesValue, BytesValue))
    await stream.send(BytesValue(value=b"hello"))
    await stream.receive()
    print("connected", flush=True)
    await stream.receive()

asyncio.run(main())
"""


@pytest.mark.process
async def test_a_client_that_is_killed_cancels_its_handler_and_does_not_look_half_closed() -> None:
    ended: list[str] = []

    async def witness(stream: ServerStream[BytesValue, BytesValue]) -> None:
        try:
            await talk(stream)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("half-closed")

    async with listening(Service("real.v1.Real", {}, {TALK: witness})) as listener:
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT, listener.address, stdout=subprocess.PIPE
        )
        assert client.stdout is not None
        assert await client.stdout.readline() == b"connected\n"
        client.kill()
        await client.wait()
        await eventually(lambda: bool(ended))
        assert ended == ["cancelled"]


@pytest.mark.process
def test_a_forked_child_is_told_that_its_client_is_useless() -> None:
    program = """
import os
from streamkeep_common.seams.real.network import GrpcNetwork
network = GrpcNetwork()
child = os.fork()
if child == 0:
    try:
        network.dial("127.0.0.1:1")
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    assert "forked" in output_of(program)


@pytest.mark.process
def test_a_child_of_a_process_that_used_grpc_runs_and_is_refused_only_grpc() -> None:
    program = """
import asyncio, os
from streamkeep_common.seams.real.network import GrpcNetwork

async def use() -> None:
    asyncio.get_running_loop().slow_callback_duration = 60
    listener = await GrpcNetwork().serve("127.0.0.1:0", [])
    await GrpcNetwork().dial(listener.address).close()
    await listener.stop(0)
    for _ in range(8):
        child = os.fork()
        if child == 0:
            try:
                GrpcNetwork()
            except RuntimeError as error:
                os._exit(7 if "forked" in str(error) else 8)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

asyncio.run(use())
"""
    assert output_of(program).split() == ["7"] * 8


@pytest.mark.process
def test_a_child_may_use_grpc_if_its_parent_has_not() -> None:
    program = """
import asyncio, os
from streamkeep_common.seams.real.network import GrpcNetwork

async def use() -> None:
    listener = await GrpcNetwork().serve("127.0.0.1:0", [])
    await listener.stop(0)

child = os.fork()
if child == 0:
    asyncio.run(use())
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert output_of(program).split() == ["7"]


async def test_everything_made_before_a_fork_is_refused_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    network = GrpcNetwork()
    channel = network.dial("127.0.0.1:1")
    with another_process(monkeypatch):
        with pytest.raises(RuntimeError, match="forked"):
            network.dial("127.0.0.1:1")
        with pytest.raises(RuntimeError, match="forked"):
            await network.serve("127.0.0.1:0", [])
        with pytest.raises(RuntimeError, match="forked"):
            await channel.call(ASK, BytesValue(), timeout_s=1)
        with pytest.raises(RuntimeError, match="forked"):
            channel.open(TALK)
    await channel.close()


@contextmanager
def another_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        yield


@pytest.mark.process
def test_a_client_needs_none_of_the_servers_libraries() -> None:
    program = """
import asyncio, sys
for name in ("grpc_health", "grpc_reflection", "structlog", "prometheus_client"):
    sys.modules[name] = None
from streamkeep_common.seams.real.network import GrpcNetwork
async def main():
    channel = GrpcNetwork().dial("127.0.0.1:1")
    await channel.close()
    print("fine")
asyncio.run(main())
"""
    assert output_of(program) == "fine\n"


TROUBLE = """
import asyncio, gc, logging
from google.protobuf.wrappers_pb2 import BytesValue
from streamkeep_common.seams import RpcError, Service, StreamMethod, UnaryMethod
from streamkeep_common.seams.real.network import GrpcNetwork

ASK = UnaryMethod("/real.v1.Real/Ask", BytesValue, BytesValue)
TALK = StreamMethod("/real.v1.Real/Talk", BytesValue, BytesValue)

async def never(*_):
    await asyncio.sleep(1000)

async def failing(awaitable):
    try:
        await awaitable
    except (OSError, RpcError):
        pass

async def main():
    network = GrpcNetwork()
    service = Service("real.v1.Real", {ASK: never}, {TALK: never})
    listener = await network.serve("127.0.0.1:0", [service])
    await failing(network.serve(listener.address, [service]))
    nowhere = network.dial("127.0.0.1:1")
    await failing(nowhere.call(ASK, BytesValue(), timeout_s=5))
    await failing(nowhere.open(TALK).receive())
    channel = network.dial(listener.address)
    streams = [channel.open(TALK) for _ in range(8)]
    for stream in streams[1:]:
        await stream.send(BytesValue(value=b"x"))
    waiting = [asyncio.ensure_future(failing(stream.receive())) for stream in streams[:4]]
    await failing(channel.call(ASK, BytesValue(), timeout_s=0.05))
    streams[0].cancel()
    streams[1].cancel()
    del streams[5:], stream
    gc.collect()
    await listener.stop(0.05)
    await channel.close()
    await nowhere.close()
    await asyncio.gather(*waiting)

logging.basicConfig(level=logging.INFO)
asyncio.run(main())
gc.collect()
print("done")
"""


@pytest.mark.process
def test_nothing_is_written_to_stderr_whatever_goes_wrong() -> None:
    assert output_of(TROUBLE) == "done\n"


def output_of(program: str) -> str:
    """Standard output; stderr must be empty."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={name: text for name, text in os.environ.items() if not name.startswith("GRPC_")},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout

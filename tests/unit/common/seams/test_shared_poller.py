"""What gRPC makes of several event loops in one process, and what of that is said."""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.source import ROOT

PROGRAM = """
import asyncio, threading
from google.protobuf.wrappers_pb2 import BytesValue
from streamkeep_common.seams.real.network import GrpcNetwork
from tests.unit.common.seams.real_service import ASK, TALK, listening

async def serve():
    async with listening() as listener:
        address.set_result(listener.address)
        await over.wait()

async def talk(where):
    channel = GrpcNetwork().dial(where)
    await channel.call(ASK, BytesValue(value=b"x"), timeout_s=60)
    for _ in range(10):
        stream = channel.open(TALK)
        await stream.send(BytesValue(value=b"x"))
        await stream.receive()
        stream.cancel()
    await channel.close()

from concurrent.futures import Future
address, over = Future(), asyncio.Event()
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
thread.start()
for _ in range(40):
    asyncio.run(talk(address.result()))
loop.call_soon_threadsafe(over.set)
thread.join()
"""


def test_one_loop_after_the_other_and_one_beside_them_are_no_reason_to_complain() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

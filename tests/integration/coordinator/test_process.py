"""A real coordinator process: killed, started again, measured, and given what it must refuse."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streamkeep_common.image import MAX_FEATURE_LEVEL
from streamkeep_common.methods import CREATE_TOPICS, DESCRIBE_CLUSTER, LIST_TOPICS, SESSION
from streamkeep_common.seams.network import Channel
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    BrokerHeartbeat,
    CreateTopicsRequest,
    DescribeClusterRequest,
    ListTopicsRequest,
    NewTopic,
    RegisterBroker,
    SessionRequest,
)

pytestmark = pytest.mark.process

IDLE_RSS_MIB = 55


class Server:
    """One process; `ready` is its line on stdout."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self.process = process
        self.ready = ready

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            return await self.process.wait()


async def launch(data_dir: Path, *flags: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "streamkeep_coordinator",
        *("--id", "1", "--initial-members", "1", "--listen", "127.0.0.1:0", "--data-dir", str(data_dir)),
        *flags,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def start(data_dir: Path, *flags: str) -> Server:
    process = await launch(data_dir, *flags)
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = await process.stdout.readline()
        if not line:
            raise AssertionError((await process.communicate())[1].decode())
    return Server(process, json.loads(line))


async def refused(data_dir: Path, *flags: str) -> tuple[int, str]:
    """Exit code and stderr of a coordinator that must not start."""
    process = await launch(data_dir, *flags)
    async with asyncio.timeout(20):
        _, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stderr.decode()


@asynccontextmanager
async def channel_to(server: Server) -> AsyncIterator[Channel]:
    channel = GrpcNetwork().dial(server.ready["address"])
    try:
        yield channel
    finally:
        await channel.close()


async def join_a_broker(channel: Channel) -> None:
    stream = channel.open(SESSION)
    register = RegisterBroker(
        broker_id=1,
        incarnation_id=os.urandom(16),
        address="127.0.0.1:7201",
        directory_ids=[b"d" * 16],
        min_feature_level=1,
        max_feature_level=MAX_FEATURE_LEVEL,
    )
    await stream.send(SessionRequest(register=register))
    answer = await stream.receive()
    assert answer is not None
    index = answer.registered.metadata_index
    await stream.send(SessionRequest(heartbeat=BrokerHeartbeat(metadata_index=index)))
    answer = await stream.receive()
    assert answer is not None
    assert not answer.status.fenced


async def create(channel: Channel, name: str) -> None:
    request = CreateTopicsRequest(topics=[NewTopic(name=name, partitions=2)])
    outcome = (await channel.call(CREATE_TOPICS, request, timeout_s=10)).outcomes[0]
    assert not outcome.HasField("error"), outcome


def rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


async def test_topics_are_there_after_kill_9(tmp_path: Path) -> None:
    names = []
    cluster_ids = set()
    for life in range(3):
        server = await start(tmp_path / "data")
        async with channel_to(server) as channel:
            await join_a_broker(channel)
            for number in range(5):
                names.append(f"t-{life}-{number}")
                await create(channel, names[-1])
            listed = (await channel.call(LIST_TOPICS, ListTopicsRequest(), timeout_s=10)).topics
            assert [each.name for each in listed] == names
            described = await channel.call(DESCRIBE_CLUSTER, DescribeClusterRequest(), timeout_s=10)
            cluster_ids.add(described.cluster_id)
            assert described.term == life + 2
            await server.kill()
    assert len(cluster_ids) == 1


async def test_an_idle_coordinator_is_small_and_measures_itself(tmp_path: Path) -> None:
    server = await start(tmp_path / "data")
    assert server.ready["ready"] == "coordinator"
    assert server.ready["id"] == 1
    async with channel_to(server) as channel:
        await channel.call(DESCRIBE_CLUSTER, DescribeClusterRequest(), timeout_s=10)
    url = f"http://{server.ready['metrics']}/metrics"
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read().decode())
    assert "streamkeep_metadata_index 2.0" in text
    assert "streamkeep_active 1.0" in text
    assert rss_mib(server.process.pid) <= IDLE_RSS_MIB
    assert await server.stop() == 0


async def test_a_directory_in_use_is_refused_in_one_sentence(tmp_path: Path) -> None:
    server = await start(tmp_path / "data")
    code, stderr = await refused(tmp_path / "data")
    assert code == 1
    assert "is in use by another coordinator process" in stderr
    assert "Traceback" not in stderr
    assert await server.stop() == 0


async def test_a_taken_port_and_a_wrong_setting_are_named(tmp_path: Path) -> None:
    server = await start(tmp_path / "one")
    code, stderr = await refused(tmp_path / "two", "--listen", server.ready["address"])
    assert code == 1
    assert "Address already in use" in stderr
    code, stderr = await refused(tmp_path / "two", "--session-timeout-ms", "soon")
    assert code == 2
    assert "session_timeout_ms" in stderr
    assert await server.stop() == 0


async def test_a_damaged_log_is_named_put_aside_and_never_taken_for_an_empty_cluster(tmp_path: Path) -> None:
    server = await start(tmp_path / "data")
    await server.kill()
    log = next((tmp_path / "data").glob("*.wal"))
    content = bytearray(log.read_bytes())
    content[50] ^= 1
    log.write_bytes(content)
    server = await start(tmp_path / "data")
    async with channel_to(server) as channel:
        answer = await channel.call(LIST_TOPICS, ListTopicsRequest(), timeout_s=10)
    assert answer.error.code == errors_pb2.NOT_INITIALIZED
    assert (tmp_path / "data" / "damaged-1" / log.name).read_bytes() == content
    assert await server.stop() == 0
    assert server.process.stderr is not None
    assert f"{log} is damaged at byte 0" in (await server.process.stderr.read()).decode()

"""What the test kit gives to suites that are not ours: a pytest plugin, and a cluster of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from streamkeep import Producer
from streamkeep.testing import Cluster, ClusterError
from tests.integration.foreign_suite import run_pytest

SUITE = """
import pytest
from streamkeep import Producer

@pytest.fixture(scope="session")
def streamkeep_cluster_options():
    return {"brokers": 2}

async def write(bootstrap, topic, value):
    async with Producer(bootstrap) as producer:
        await (await producer.send(topic, value))

async def test_writes(streamkeep_cluster, streamkeep_topic):
    await write(streamkeep_cluster.bootstrap, streamkeep_topic, b"one")
    assert [r.value for r in await streamkeep_cluster.aio.records(streamkeep_topic)] == [b"one"]

async def test_has_a_topic_of_its_own_in_a_loop_of_its_own(streamkeep_cluster, streamkeep_topic):
    await write(streamkeep_cluster.bootstrap, streamkeep_topic, b"two")
    assert [r.value for r in streamkeep_cluster.records(streamkeep_topic)] == [b"two"]

def test_fails_and_leaves_a_broker_killed(streamkeep_cluster):
    streamkeep_cluster.kill_broker(2)
    raise ValueError("as it should")

@pytest.fixture
def fails_when_it_ends():
    yield
    raise ValueError("as it should")

def test_kills_a_broker_and_ends_badly(streamkeep_cluster, fails_when_it_ends):
    streamkeep_cluster.kill_broker(1)

def test_finds_all_brokers_running(streamkeep_cluster):
    assert streamkeep_cluster.brokers == [1, 2]

def test_is_interrupted(streamkeep_cluster):
    raise KeyboardInterrupt
"""

WITHOUT = """
import sys

def test_nothing_is_loaded():
    assert "streamkeep_pytest.plugin" in sys.modules
    roots = {name.partition(".")[0] for name in sys.modules}
    assert [root for root in roots if root.startswith("streamkeep")] == ["streamkeep_pytest"]
    assert not roots & {"google", "grpc", "tenacity", "prometheus_client", "structlog", "click"}
"""


def test_the_plugin_gives_a_cluster_to_any_suite(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    done = run_pytest(tmp_path)
    assert "1 failed, 4 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "KeyboardInterrupt" in done.stdout
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "ResourceWarning" not in done.stdout + done.stderr


def test_a_suite_without_a_cluster_loads_nothing_of_streamkeep(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(WITHOUT)
    done = run_pytest(tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


async def write(bootstrap: str, topic: str, values: Sequence[bytes]) -> None:
    async with Producer(bootstrap) as producer:
        for value in values:
            await (await producer.send(topic, value))


@pytest.mark.process
async def test_a_cluster_of_processes_is_the_same_to_its_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    others = living_children()
    async with Cluster(processes=True, brokers=2, broker_settings={"rack": "here"}) as cluster:
        topic = await cluster.topic()
        await write(cluster.bootstrap, topic, [b"one", b"two"])
        assert len(await cluster.wait_for_records(topic, 2)) == 2
        killed = await cluster.kill_leader(topic)
        assert await cluster.leader(topic) != killed
        await cluster.stop_broker(next(iter(cluster.brokers)))
        assert cluster.brokers == []
        await cluster.restore()
        assert [record.value for record in await cluster.records(topic)] == [b"one", b"two"]
        assert len(living_children() - others) == 4, "three servers, and who guards them"
    assert names_in(tmp_path) == []
    assert living_children() <= others


@pytest.mark.process
def test_processes_that_do_not_start_are_gone_and_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    others = living_children()
    with pytest.raises(ClusterError, match=r"broker 1 did not start: .*replica_lag_ms"):
        Cluster(processes=True, broker_settings={"replica_lag_ms": "soon"}).__enter__()
    assert names_in(tmp_path) == []
    assert living_children() <= others


ABANDONING = """
import os, signal, sys
from streamkeep.testing import Cluster

cluster = Cluster(processes=True).__enter__()
print(cluster.topic(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.process
def test_processes_do_not_outlive_a_test_that_was_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ABANDONING], env=environment, capture_output=True, timeout=120, check=False
    )
    # Who guards them holds the pipes, too: when `run` returns, it is done.
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"topic-1\n")
    assert names_in(tmp_path) == []


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def living_children() -> set[int]:
    """The processes that this one has started."""
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for children in tasks for pid in children.read_text().split()}

"""One process of a cluster stopped and started, with real but tiny processes in the place of servers."""

from __future__ import annotations

import json
import os
import random
import select
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamctl.dev.choice import known_bootstrap
from streamctl.dev.cluster_file import ProcessRecord, ProcessState
from streamctl.dev.ending import stop_processes
from streamctl.dev.launch import launch, readiness
from streamctl.dev.one_process import start_process, stop_process
from streamctl.dev.plan import plan_cluster
from streamctl.dev.ports import settled
from streamctl.dev.processes import reap, state_of
from streamctl.dev.shell import show_status
from streamctl.dev.store import ClusterStore
from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import Invocation

FAKE_SERVER = Path(__file__).with_name("fake_server.py")


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ClusterStore]:
    """A cluster of two coordinators and a broker."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store = ClusterStore(tmp_path / "cluster")
    plan = settled(plan_cluster(store.data_dir, coordinators=2, brokers=1, port_base=0), random.Random())
    launched = [
        launch(
            ProcessRecord(
                role=server.role,
                id=server.id,
                pid=0,
                start_ticks=0,
                boot_id="",
                address=server.address,
                data_dir=str(server.data_dir),
                log=str(server.log),
                arguments=[str(FAKE_SERVER), server.address],
            )
        )
        for server in plan.servers
    ]
    store.write([each.record for each in launched])
    for each in launched:
        await readiness(each)
    yield store
    await stop_processes(store.read())


def states(store: ClusterStore) -> list[str]:
    return [state_of(record).value for record in store.read()]


def kill(record: ProcessRecord) -> None:
    """End it as a crash does."""
    pidfd = os.pidfd_open(record.pid)
    os.kill(record.pid, signal.SIGKILL)
    assert select.select([pidfd], [], [], 30)[0]
    os.close(pidfd)
    reap(record.pid)


async def test_a_stopped_process_is_remembered_and_starts_as_it_was(
    store: ClusterStore, capsys: pytest.CaptureFixture[str]
) -> None:
    before = store.read()[1]
    await stop_process(Invocation(output="json"), [store], "coordinator", 2)
    stopped = json.loads(capsys.readouterr().out)
    assert (stopped["state"], stopped["pid"]) == ("stopped", None)
    assert states(store) == ["running", "stopped", "running"]
    await start_process(Invocation(output="json"), [store], "coordinator", 2)
    started = json.loads(capsys.readouterr().out)
    assert states(store) == ["running"] * 3
    after = store.read()[1]
    assert started["pid"] == after.pid != before.pid
    assert (after.address, after.arguments, after.log) == (before.address, before.arguments, before.log)


async def test_a_process_that_died_can_be_started(store: ClusterStore) -> None:
    kill(store.read()[2])
    assert states(store) == ["running", "running", "dead"]
    await start_process(Invocation(), [store], "broker", 1)
    assert states(store) == ["running"] * 3


async def test_what_cannot_be_is_refused_in_words(store: ClusterStore, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="coordinator 1 is running already, as pid") as refused:
        await start_process(Invocation(), [store], "coordinator", 1)
    assert refused.value.exit_code == ExitCode.FAILED
    with pytest.raises(CommandError, match="no coordinator 3; it has 1, 2") as refused:
        await stop_process(Invocation(), [store], "coordinator", 3)
    assert refused.value.exit_code == ExitCode.NOT_FOUND
    with pytest.raises(CommandError, match="no cluster was started in") as refused:
        await stop_process(Invocation(), [ClusterStore(tmp_path / "nowhere")], "broker", 1)
    assert refused.value.exit_code == ExitCode.NOT_FOUND
    await stop_process(Invocation(), [store], "broker", 1)
    with pytest.raises(CommandError, match="broker 1 is stopped already"):
        await stop_process(Invocation(), [store], "broker", 1)


async def test_a_process_that_does_not_start_stays_stopped_with_its_last_word(store: ClusterStore) -> None:
    await stop_process(Invocation(), [store], "broker", 1)
    coordinator, _, broker = store.read()
    taken = [str(FAKE_SERVER), coordinator.address]
    store.replace(replace(broker, arguments=taken))
    with pytest.raises(CommandError, match=r"broker 1 did not start: cannot start: .*in use"):
        await start_process(Invocation(), [store], "broker", 1)
    assert states(store) == ["running", "running", "stopped"]


async def test_a_process_of_the_version_before_says_why_it_cannot_be_started(store: ClusterStore) -> None:
    await stop_process(Invocation(), [store], "broker", 1)
    store.replace(replace(store.read()[2], arguments=[]))
    with pytest.raises(CommandError, match="was started by an earlier version"):
        await start_process(Invocation(), [store], "broker", 1)


async def test_status_says_how_to_start_what_does_not_run(store: ClusterStore) -> None:
    await stop_process(Invocation(), [store], "coordinator", 2)
    with pytest.raises(CommandError, match="`streamctl dev start-process coordinator 2`") as unhealthy:
        show_status(Invocation(), [store])
    assert unhealthy.value.exit_code == ExitCode.UNHEALTHY


async def test_the_only_cluster_that_runs_here_is_the_one_that_commands_speak_to(
    store: ClusterStore, tmp_path: Path
) -> None:
    addresses = ",".join(record.address for record in store.read()[:2])
    assert known_bootstrap() == addresses
    kill(store.read()[0])
    assert known_bootstrap() == addresses
    other = ClusterStore(tmp_path / "other")
    other.data_dir.mkdir()
    other.write(store.read())
    assert known_bootstrap() is None
    other.forget()
    for record in store.read()[1:]:
        kill(record)
    assert known_bootstrap() is None
    assert {state_of(record) for record in store.read()} == {ProcessState.DEAD}

"""The supervisor with real but tiny processes in the place of servers."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from streamctl.dev import ending as ending_module
from streamctl.dev import supervisor as supervisor_module
from streamctl.dev.cluster_file import ProcessRecord, ProcessState
from streamctl.dev.ending import stop_processes
from streamctl.dev.one_process import start_process, stop_process
from streamctl.dev.plan import ClusterPlan, ServerPlan, plan_cluster
from streamctl.dev.ports import settled
from streamctl.dev.processes import state_of
from streamctl.dev.store import ClusterStore, known_data_dirs
from streamctl.dev.supervisor import Supervisor
from streamctl.failures import CommandError
from streamctl.invocation import Invocation

FAKE_SERVER = Path(__file__).with_name("fake_server.py")


@pytest.fixture(autouse=True)
def own_state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@dataclass(frozen=True, slots=True)
class FakeServer(ServerPlan):
    behaviour: str = ""

    def arguments(self, coordinators: Sequence[ServerPlan]) -> list[str]:
        assert all(coordinator.port for coordinator in coordinators)
        return [str(FAKE_SERVER), self.address, self.behaviour]


def fake_plan(tmp_path: Path, behaviours: Mapping[str, str] = {}, *, port_base: int = 0) -> ClusterPlan:
    def fake(server: ServerPlan) -> FakeServer:
        fields = {name: getattr(server, name) for name in ServerPlan.__slots__}
        return FakeServer(**fields, behaviour=behaviours.get(server.name, ""))

    plan = plan_cluster(tmp_path / "cluster", coordinators=2, brokers=2, port_base=port_base)
    return replace(plan, coordinators=[*map(fake, plan.coordinators)], brokers=[*map(fake, plan.brokers)])


def states(records: list[ProcessRecord]) -> list[ProcessState]:
    return [state_of(record) for record in records]


def pause(pid: int) -> None:
    """Stop a child as Ctrl-Z does, and return when it has stopped."""
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)


@dataclass
class Cluster:
    plan: ClusterPlan
    store: ClusterStore = field(init=False)
    supervisor: Supervisor = field(init=False)

    def __post_init__(self) -> None:
        self.store = ClusterStore(self.plan.data_dir)
        self.plan.data_dir.mkdir(parents=True, exist_ok=True)
        self.supervisor = Supervisor(self.plan, self.store, random.Random())


async def test_every_process_is_started_remembered_and_ended(tmp_path: Path) -> None:
    cluster = Cluster(fake_plan(tmp_path))
    await cluster.supervisor.start()
    records = cluster.store.read()
    assert [record.name for record in records] == ["coordinator 1", "coordinator 2", "broker 1", "broker 2"]
    assert cluster.supervisor.coordinators == [record.address for record in records[:2]]
    assert states(records) == [ProcessState.RUNNING] * 4
    assert known_data_dirs() == [cluster.plan.data_dir]
    assert await cluster.supervisor.stop() == []
    assert states(records) == [ProcessState.DEAD] * 4
    assert cluster.store.read() == [] and known_data_dirs() == []


async def test_one_process_is_killed_and_the_others_go_on(tmp_path: Path) -> None:
    cluster = Cluster(fake_plan(tmp_path))
    await cluster.supervisor.start()
    records = cluster.supervisor.records
    cluster.supervisor.kill("broker", 1)
    _, status = await asyncio.to_thread(os.waitpid, records[2].pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert states(records)[:2] == [ProcessState.RUNNING] * 2 and state_of(records[3]) is ProcessState.RUNNING
    assert await cluster.supervisor.stop() == []


async def test_a_process_that_cannot_start_is_named_with_its_last_word_and_the_rest_is_ended(
    tmp_path: Path,
) -> None:
    cluster = Cluster(fake_plan(tmp_path, {"broker 2": "mute"}))
    with pytest.raises(
        CommandError, match="broker 2 did not start: cannot start: the directory is locked; its log is"
    ):
        await cluster.supervisor.start()
    assert states(cluster.supervisor.records) == [ProcessState.DEAD] * 4
    assert cluster.store.read() == []


async def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cluster = Cluster(fake_plan(tmp_path, port_base=taken.getsockname()[1]))
        with pytest.raises(CommandError, match="for coordinator 1, is taken by another program"):
            await cluster.supervisor.start()
    assert cluster.supervisor.records == []


async def test_a_drawn_port_that_somebody_takes_before_the_start_is_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(fake_plan(tmp_path))
    first_ports: list[dict[str, int]] = []
    with socket.socket() as quicker:

        def draw(plan: ClusterPlan, rng: random.Random) -> ClusterPlan:
            plan = settled(plan, rng)
            first_ports.append(plan.ports)
            if len(first_ports) == 1:
                quicker.bind(("127.0.0.1", plan.ports["broker 2"]))
                quicker.listen()
            return plan

        monkeypatch.setattr(supervisor_module, "settled", draw)
        await cluster.supervisor.start()
    before, after = first_ports
    assert {name for name in before if before[name] != after[name]} == {"broker 2"}
    assert cluster.store.read_ports() == after
    await cluster.supervisor.stop()


async def test_the_ports_of_the_last_start_are_remembered_when_the_processes_are_not(tmp_path: Path) -> None:
    cluster = Cluster(fake_plan(tmp_path))
    await cluster.supervisor.start()
    ports = {record.name: int(record.address.rpartition(":")[2]) for record in cluster.supervisor.records}
    await cluster.supervisor.stop()
    assert cluster.store.read_ports() == ports


async def test_a_deaf_process_is_killed_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending_module, "STOP_GRACE_S", 0.1)
    cluster = Cluster(fake_plan(tmp_path, {"broker 2": "deaf"}))
    await cluster.supervisor.start()
    assert [record.name for record in await cluster.supervisor.stop()] == ["broker 2"]
    assert states(cluster.supervisor.records) == [ProcessState.DEAD] * 4


async def test_a_paused_process_is_seen_and_can_be_ended(tmp_path: Path) -> None:
    cluster = Cluster(fake_plan(tmp_path))
    await cluster.supervisor.start()
    broker = cluster.supervisor.records[1]
    pause(broker.pid)
    assert state_of(broker) is ProcessState.PAUSED
    assert await cluster.supervisor.stop() == []


async def test_a_death_is_reported_with_its_signal(tmp_path: Path) -> None:
    cluster = Cluster(fake_plan(tmp_path))
    await cluster.supervisor.start()
    reports: list[tuple[str, int | None]] = []
    died = asyncio.Event()

    def report(record: ProcessRecord, status: int | None) -> None:
        reports.append((record.name, status))
        died.set()

    watch = asyncio.create_task(cluster.supervisor.watch(report))
    await asyncio.sleep(0)
    os.kill(cluster.supervisor.records[3].pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        await died.wait()
    watch.cancel()
    assert reports == [("broker 2", -signal.SIGKILL)]
    await cluster.supervisor.stop()


async def test_a_process_started_again_keeps_the_cluster_in_the_foreground(tmp_path: Path) -> None:
    cluster = Cluster(fake_plan(tmp_path))
    await cluster.supervisor.start()
    ends: asyncio.Queue[str] = asyncio.Queue()
    watch = asyncio.create_task(cluster.supervisor.watch(lambda record, _: ends.put_nowait(record.name)))
    async with asyncio.timeout(10):
        await stop_process(Invocation(), [cluster.store], "broker", 1)
        assert await ends.get() == "broker 1"
        await start_process(Invocation(), [cluster.store], "broker", 1)
        await stop_processes(cluster.supervisor.records)
        assert sorted([await ends.get() for _ in range(3)]) == ["broker 2", "coordinator 1", "coordinator 2"]
        assert not watch.done()
        assert await cluster.supervisor.stop() == []
        assert await ends.get() == "broker 1"
        await watch


async def test_a_stranger_with_a_remembered_number_is_never_signalled(tmp_path: Path) -> None:
    cluster = Cluster(fake_plan(tmp_path))
    await cluster.supervisor.start()
    records = cluster.supervisor.records
    strangers = [replace(record, start_ticks=record.start_ticks - 1) for record in records]
    assert states(strangers) == [ProcessState.DEAD] * 4
    await stop_processes(strangers)
    await stop_processes([replace(record, boot_id="another boot") for record in records])
    assert states(records) == [ProcessState.RUNNING] * 4
    await cluster.supervisor.stop()


def test_two_starts_in_one_directory_do_not_meet(tmp_path: Path) -> None:
    first, second = ClusterStore(tmp_path), ClusterStore(tmp_path)
    with (
        first.locked(),
        pytest.raises(CommandError, match="another `streamctl dev` is starting"),
        second.locked(),
    ):
        pass


def test_a_damaged_cluster_file_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text('{"layout": 1, "processes": [{"pid": 1}]}')
    with pytest.raises(CommandError, match="is not a file of this version"):
        ClusterStore(tmp_path).read()


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"coordinator 1": "7101"})])
def test_damaged_ports_get_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    with pytest.raises(CommandError, match="is damaged"):
        ClusterStore(tmp_path).read_ports()

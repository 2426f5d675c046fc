"""A directory becomes a cluster's once, also if whoever asked for it has gone before that was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from streamkeep_common.errors import ClusterMismatchError
from streamkeep_coordinator.quorum.formatter import Formatter
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.storage import Storage
from streamkeep_proto.v1.raft_pb2 import RaftEntry
from tests.sim.disk import SimDisk
from tests.sim.simulation import Simulation, run_simulation

DATA = Path("/data")
CLUSTER, OTHER = "c" * 22, "o" * 22


class Bench:
    """One empty directory and its formatter."""

    def __init__(self, simulation: Simulation) -> None:
        machine = simulation.machine("coordinator-1")
        disk = self.disk = SimDisk(simulation.rng("disk"))
        directory = DataDirectory(disk, DATA, machine.rng)
        self.founded: list[RaftEntry] = []
        self.failures: list[Exception] = []
        self.local = LocalCoordinator(directory.open(1), "coordinator-1:7101")
        storage = Storage(disk, DATA)
        storage.recover()
        self.formatter = Formatter(
            directory,
            storage,
            self.local,
            worker=machine.workers.start("log"),
            clock=machine.clock,
            rng=machine.rng,
            on_founded=self.founded.append,
            on_failure=self.failures.append,
        )

    async def abandon(self, work: Coroutine[Any, Any, object]) -> None:
        """Begin it, and go when it waits for the disk."""
        asking = asyncio.ensure_future(work)
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled()
        await asyncio.sleep(1)


def on_a_bench(scenario: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    async def run(simulation: Simulation) -> None:
        await scenario(Bench(simulation))

    run_simulation(1, run)


def test_who_asked_it_to_join_may_go_before_it_has_and_the_next_one_finds_it_a_member() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.abandon(bench.formatter.join(CLUSTER, 3))
        assert (bench.local.identity.cluster_id, bench.local.identity.cluster_epoch) == (CLUSTER, 3)
        await bench.formatter.join(CLUSTER, 3)
        with pytest.raises(ClusterMismatchError):
            await bench.formatter.join(OTHER, 1)

    on_a_bench(scenario)


def test_of_two_epochs_of_a_cluster_that_call_at_once_it_joins_one_and_tells_the_other() -> None:
    async def scenario(bench: Bench) -> None:
        outcomes = await asyncio.gather(
            bench.formatter.join(CLUSTER, 1), bench.formatter.join(CLUSTER, 2), return_exceptions=True
        )
        joined = bench.local.identity.cluster_epoch
        assert outcomes[joined - 1] is None
        assert isinstance(outcomes[2 - joined], ClusterMismatchError)

    on_a_bench(scenario)


def test_a_disk_that_fails_while_a_cluster_is_founded_ends_the_process() -> None:
    async def scenario(bench: Bench) -> None:
        bench.disk.fail("sync")
        with pytest.raises(OSError, match="Input/output error"):
            await bench.formatter.found([bench.local.member(voter=True)])
        await asyncio.sleep(0)
        assert [type(failure) for failure in bench.failures] == [OSError]

    on_a_bench(scenario)


def test_a_cluster_whose_founding_nobody_waits_for_any_more_is_founded_all_the_same() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.abandon(bench.formatter.found([bench.local.member(voter=True)]))
        assert bench.local.is_formatted
        assert [entry.index for entry in bench.founded] == [1]

    on_a_bench(scenario)

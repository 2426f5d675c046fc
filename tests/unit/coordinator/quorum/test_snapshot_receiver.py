"""Snapshots that arrive at the same time (etcd #18055)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from streamkeep_common.image import ClusterImage
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.quorum.snapshot_receiver import SnapshotReceiver
from streamkeep_coordinator.raft import RaftLog
from streamkeep_coordinator.storage.identity import Identity
from streamkeep_coordinator.storage.snapshots import SnapshotId
from streamkeep_proto.v1.metadata_pb2 import MetadataSnapshot
from streamkeep_proto.v1.raft_pb2 import (
    RaftHello,
    RaftMessage,
    SnapshotChunk,
    SnapshotHeader,
    SnapshotInstalled,
)
from tests.sim.disk import SimDisk
from tests.sim.simulation import Simulation, run_simulation

DATA = Path("/data")
SNAPSHOT = SnapshotId(7, 2)


class Stream:
    """Brings the first half of a snapshot, and the other one after `go_on`."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.answers: list[SnapshotInstalled] = []
        self._chunks = [_chunk(0), _chunk(1)]

    async def receive(self) -> SnapshotChunk:
        if len(self._chunks) == 1:
            await self.go_on.wait()
        return self._chunks.pop(0)

    async def send(self, answer: SnapshotInstalled) -> None:
        self.answers.append(answer)


def _chunk(number: int) -> SnapshotChunk:
    chunk = SnapshotChunk(snapshot=MetadataSnapshot(index=7, term=2), is_last=number == 1)
    if number == 0:
        hello = RaftHello(coordinator_id=2, directory_id=b"2" * 16)
        chunk.header.CopyFrom(SnapshotHeader(hello=hello, term=2, index=7, last_term=2))
    return chunk


def test_of_snapshots_that_arrive_at_the_same_time_one_is_taken() -> None:
    offered: list[RaftMessage] = []

    async def let_in(hello: RaftHello) -> None:
        assert hello.coordinator_id == 2

    async def run(simulation: Simulation) -> None:
        machine = simulation.machine("coordinator-1")
        disk = SimDisk(simulation.rng("disk"))
        disk.make_directories(DATA)
        receiver = SnapshotReceiver(
            disk,
            DATA,
            machine.workers.start("snapshots"),
            LocalCoordinator(Identity(1, b"1" * 16), "coordinator-1:7101"),
            image=ClusterImage,
            log=RaftLog,
            let_in=let_in,
            step=offered.append,
        )
        streams = [Stream() for _ in range(3)]
        installing = [asyncio.ensure_future(receiver.install(streams[0]))]  # type: ignore[arg-type]
        await asyncio.sleep(1)
        installing += [asyncio.ensure_future(receiver.install(each)) for each in streams[1:]]  # type: ignore[arg-type]
        await asyncio.sleep(1)
        for stream in streams:
            stream.go_on.set()
        await asyncio.gather(*installing)

        answers = [stream.answers[0] for stream in streams]
        assert [each.HasField("error") for each in answers].count(False) == 1
        assert len(offered) == 1
        whole = disk.read_file(DATA / SNAPSHOT.received_name)
        assert whole
        assert disk.list_directory(DATA) == [SNAPSHOT.received_name]

    run_simulation(1, run)

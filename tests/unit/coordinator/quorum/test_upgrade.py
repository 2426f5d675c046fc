"""A directory of the version before, which knew one coordinator, becomes that of a quorum."""

from __future__ import annotations

import json
import random
from pathlib import Path

from streamkeep_common.image import MAX_FEATURE_LEVEL
from streamkeep_common.methods import DESCRIBE_CLUSTER, PROBE, UPGRADE_FEATURES
from streamkeep_common.seams import make_directories_durably
from streamkeep_coordinator.recovery import recover
from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.frame import pack_frame
from streamkeep_coordinator.storage.segment import START_BYTES
from streamkeep_coordinator.storage.storage import Storage
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import DescribeClusterRequest, UpgradeFeaturesRequest
from streamkeep_proto.v1.metadata_pb2 import (
    ClusterRecord,
    FeatureLevelRecord,
    MetadataEntry,
    MetadataRecord,
    NoOpRecord,
)
from streamkeep_proto.v1.raft_pb2 import ProbeRequest, RaftEntry
from tests.sim.disk import SimDisk
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.coordinator.quorum.trio import Node, Quorum

CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAA"


def _write_first_format(node: Node) -> None:
    """What the version before left when its third term had begun."""
    directory = node.settings.data_dir
    make_directories_durably(node.disk, directory)
    identity = {"cluster_id": CLUSTER_ID, "coordinator_id": node.id, "format": 1}
    node.disk.write_file(directory / "identity.json", json.dumps(identity).encode())
    no_op = MetadataRecord(no_op=NoOpRecord())
    born = [
        no_op,
        MetadataRecord(cluster=ClusterRecord(cluster_id=CLUSTER_ID)),
        MetadataRecord(feature_level=FeatureLevelRecord(level=1)),
    ]
    frames = []
    for number, records in enumerate((born, [no_op], [no_op]), start=1):
        entry = MetadataEntry(index=number, term=number, records=records)
        frames.append(pack_frame(number, number, number - 1, entry.SerializeToString()))
        frames.append(pack_frame(number, number, number))
    node.disk.write_file(directory / "log-00000000000000000001.wal", b"".join(frames))


async def _level(quorum: Quorum) -> int:
    response = await quorum.ask(1, DESCRIBE_CLUSTER, DescribeClusterRequest())
    return int(response.feature_level)


def test_its_coordinator_goes_on_alone_and_after_the_upgrade_others_can_join() -> None:
    async def run(simulation: Simulation) -> None:
        quorum = Quorum(simulation, 1)
        _write_first_format(quorum.nodes[1])
        for _ in range(2):
            await quorum.start()
            assert await quorum.active() == 1
            assert (await quorum.ask(1, PROBE, ProbeRequest())).cluster_id == CLUSTER_ID
            assert await _level(quorum) == 1
            quorum.nodes[1].kill(power_cut=True)
        await quorum.start()
        await quorum.active()
        await quorum.new_node(2).start()
        assert (await quorum.add(2)).error.code == errors_pb2.INVALID_QUORUM_CHANGE
        upgraded = await quorum.ask(1, UPGRADE_FEATURES, UpgradeFeaturesRequest())
        assert upgraded.level == MAX_FEATURE_LEVEL
        await quorum.until_voters(1)
        assert not (await quorum.add(2)).HasField("error")
        await quorum.until_voters(1, 2)

    run_simulation(1, run)


def _joined_and_torn(log_bytes: int) -> tuple[SimDisk, DataDirectory]:
    """Its first entries, from a time before there was a quorum in the log, were only written in part."""
    disk, path = SimDisk(random.Random(0)), Path("/data")
    directory = DataDirectory(disk, path, random.Random(0))
    directory.open(2)
    directory.format(CLUSTER_ID, 1)
    storage = Storage(disk, path)
    storage.recover()
    marks = disk.read_file(path / "marks")
    no_op = MetadataRecord(no_op=NoOpRecord())
    entries = [
        RaftEntry(index=number, term=3, data=MetadataEntry(records=[no_op]).SerializeToString())
        for number in (1, 2)
    ]
    storage.write(hard_state=(3, 1, 0), entries=entries)
    disk.kill()
    disk.write_file(path / "marks", marks)
    segment = path / "log-00000000000000000001.wal"
    disk.write_file(segment, disk.read_file(segment)[:log_bytes])
    return disk, DataDirectory(disk, path, random.Random(0))


def test_who_joins_and_loses_power_in_the_first_write_is_no_cluster_of_one() -> None:
    for log_bytes in range(START_BYTES, START_BYTES + 400):
        disk, directory = _joined_and_torn(log_bytes)
        found = recover(disk, directory, 2, "coordinator-2:7101")
        assert not found.trouble
        assert found.log.quorum is None, f"{log_bytes} bytes of the log"

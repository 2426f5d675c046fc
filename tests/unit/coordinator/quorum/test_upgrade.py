"""A directory of the version before, which knew one coordinator, becomes that of a quorum."""

from __future__ import annotations

import json

from streamkeep_common.methods import DESCRIBE_CLUSTER, PROBE, UPGRADE_FEATURES
from streamkeep_common.seams import make_directories_durably
from streamkeep_coordinator.storage.frame import pack_frame
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import DescribeClusterRequest, UpgradeFeaturesRequest
from streamkeep_proto.v1.metadata_pb2 import (
    ClusterRecord,
    FeatureLevelRecord,
    MetadataEntry,
    MetadataRecord,
    NoOpRecord,
)
from streamkeep_proto.v1.raft_pb2 import ProbeRequest
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
        assert upgraded.level == 2
        await quorum.until_voters(1)
        assert not (await quorum.add(2)).HasField("error")
        await quorum.until_voters(1, 2)

    run_simulation(1, run)

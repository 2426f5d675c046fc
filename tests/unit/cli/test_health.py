"""What ails a cluster, and the exit codes that say so."""

from __future__ import annotations

from streamctl.health import Findings, Problem, problems
from streamkeep.errors import UnavailableError
from streamkeep_proto.v1 import raft_pb2
from streamkeep_proto.v1.broker_pb2 import LogDir, LogDirState
from streamkeep_proto.v1.coordinator_pb2 import BrokerInfo, PartitionInfo, TopicInfo, TopicSetting
from streamkeep_proto.v1.raft_pb2 import DescribeQuorumResponse, MemberStatus

WELL = PartitionInfo(partition=0, leader=1, replicas=[1, 2], isr=[1, 2])


def topic(*partitions: PartitionInfo) -> TopicInfo:
    setting = TopicSetting(name="min_insync_replicas", value="2")
    return TopicInfo(name="t", settings=[setting], partitions=partitions)


def found(
    *partitions: PartitionInfo,
    members: tuple[MemberStatus, ...] = (),
    stale: bool = False,
    broker: BrokerInfo | None = None,
    dirs: list[LogDir] | UnavailableError | None = None,
) -> list[Problem]:
    quorum = DescribeQuorumResponse(cluster_id="c", stale=stale, members=members)
    brokers = [broker or BrokerInfo(broker_id=1)]
    return problems(Findings(quorum, brokers, [topic(*partitions)], {1: dirs or []}))


def test_nothing_ails_a_cluster_that_is_well_or_only_moves() -> None:
    moving = PartitionInfo(leader=1, replicas=[1, 2, 3], isr=[1, 2], adding_replicas=[3])
    online = LogDir(path="/d", state=LogDirState.ONLINE)
    assert found(WELL, moving, dirs=[online]) == []


def test_everything_that_ails_it_is_named() -> None:
    dead = MemberStatus(coordinator_id=3, state=raft_pb2.MEMBER_UNREACHABLE, trouble="no answer for 3 s")
    assert found(members=(dead,), stale=True) == [
        Problem("quorum", "c", "there is none: metadata cannot change"),
        Problem("coordinator", "3", "unreachable: no answer for 3 s"),
    ]
    assert [each.kind for each in found(broker=BrokerInfo(broker_id=1, fenced=True))] == ["broker"]
    full = LogDir(path="/d", state=LogDirState.READ_ONLY, reason="full")
    assert found(dirs=[full]) == [Problem("log-dir", "1:/d", "read-only: full")]
    assert found(dirs=UnavailableError("gone")) == [Problem("broker", "1", "does not answer: gone")]
    alone = PartitionInfo(partition=4, leader=1, replicas=[1, 2], isr=[1])
    assert found(alone) == [Problem("partition", "t:4", "under min ISR")]
    assert found(PartitionInfo(partition=5, replicas=[1, 2]))[0].problem.startswith("no leader")

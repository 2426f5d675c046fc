"""Whether a cluster is well: a list of what ails it, worst first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from streamctl.output import Table
from streamctl.partitions import state_words
from streamctl.quorum import state_word
from streamkeep import StreamkeepError
from streamkeep_proto.v1.broker_pb2 import LogDir, LogDirState
from streamkeep_proto.v1.coordinator_pb2 import BrokerInfo, TopicInfo
from streamkeep_proto.v1.raft_pb2 import MEMBER_UNREACHABLE, DescribeQuorumResponse, MemberStatus


@dataclass(frozen=True, slots=True)
class Problem:
    """What ails one thing: its kind (quorum, coordinator, broker, log-dir, partition), its name, and how."""

    kind: str
    name: str
    problem: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What is looked at. The log directories are of brokers that are up, or why one does not tell."""

    quorum: DescribeQuorumResponse
    brokers: Sequence[BrokerInfo]
    topics: Sequence[TopicInfo]
    dirs: Mapping[int, Sequence[LogDir] | StreamkeepError]


def problems(found: Findings) -> list[Problem]:
    """Nothing = healthy. A replica that is merely being moved is no problem."""
    return [*_of_quorum(found.quorum), *_of_brokers(found), *_of_partitions(found.topics)]


def _of_quorum(quorum: DescribeQuorumResponse) -> Iterator[Problem]:
    if quorum.stale:
        yield Problem("quorum", quorum.cluster_id, "there is none: metadata cannot change")
    for member in quorum.members:
        if member.state == MEMBER_UNREACHABLE or member.trouble:
            yield Problem("coordinator", str(member.coordinator_id), _trouble(member))


def _trouble(member: MemberStatus) -> str:
    return ": ".join(filter(None, (state_word(member), member.trouble)))


def _of_brokers(found: Findings) -> Iterator[Problem]:
    for broker in found.brokers:
        if broker.fenced:
            yield Problem("broker", str(broker.broker_id), "fenced: it has no session with the coordinators")
    for number, dirs in found.dirs.items():
        if isinstance(dirs, StreamkeepError):
            yield Problem("broker", str(number), f"does not answer: {dirs.message or dirs}")
            continue
        for each in dirs:
            if each.state != LogDirState.ONLINE:
                state = LogDirState.Name(each.state).lower().replace("_", "-")
                reason = f": {each.reason}" if each.reason else ""
                yield Problem("log-dir", f"{number}:{each.path}", f"{state}{reason}")


def _of_partitions(topics: Sequence[TopicInfo]) -> Iterator[Problem]:
    for topic in topics:
        required_isr = required_isr_of(topic)
        for each in topic.partitions:
            words = state_words(each, required_isr)
            if words != "ok" and not words.startswith(("adds", "removes")):
                yield Problem("partition", f"{topic.name}:{each.partition}", words)


def required_isr_of(topic: TopicInfo) -> int:
    """How many replicas have to be in sync for writing."""
    return next(int(each.value) for each in topic.settings if each.name == "min_insync_replicas")


def health_fields(found: Sequence[Problem]) -> dict[str, object]:
    return {"healthy": not found, "problems": [asdict(each) for each in found]}


def health_table(found: Sequence[Problem]) -> Table:
    return Table(("WHAT", "NAME", "PROBLEM"), [(each.kind, each.name, each.problem) for each in found])

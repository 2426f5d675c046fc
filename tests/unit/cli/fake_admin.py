"""An admin that answers as told, and commands run against it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import pytest
from click.testing import CliRunner, Result

from streamctl.cluster import Cluster
from streamctl.invocation import Invocation
from streamctl.main import cli
from streamkeep import TopicPartition
from streamkeep.admin.placement import Reassignment
from streamkeep.admin.replicas import VerifiedPartition
from streamkeep_common.errors import StreamkeepError, to_proto
from streamkeep_proto.v1.broker_pb2 import LogDir, LogDirReplica
from streamkeep_proto.v1.coordinator_pb2 import (
    BrokerInfo,
    DescribeClusterResponse,
    DrainBrokerResponse,
    ElectionOutcome,
    PartitionInfo,
    ReassignmentOutcome,
    TopicInfo,
    TopicListing,
    TopicOutcome,
)

T = TypeVar("T")

T0 = TopicPartition("t", 0)
"""What is asked about unless a test says otherwise."""


def outcome(
    topic: str = "t",
    partition: int = 0,
    *,
    before: Sequence[int] = (1, 2),
    after: Sequence[int] = (1, 3),
    copies: Sequence[int] = (3,),
    error: StreamkeepError | None = None,
) -> ReassignmentOutcome:
    if error is not None:
        return ReassignmentOutcome(topic=topic, partition=partition, error=to_proto(error))
    return ReassignmentOutcome(
        topic=topic, partition=partition, from_replicas=before, to_replicas=after, copies=copies
    )


def move(topic: str = "t", partition: int = 0, *, isr: Sequence[int] = (1, 2)) -> Reassignment:
    """From brokers 1 and 2 to 1 and 3."""
    return Reassignment(TopicPartition(topic, partition), 1, (1, 3), (3,), (2,), tuple(isr))


def held(size_bytes: int) -> LogDirReplica:
    return LogDirReplica(topic="t", partition=0, size_bytes=size_bytes)


@dataclass
class FakeAdmin:
    """Answers lists one after the other, the last again and again; `asked` is what was to be changed."""

    outcomes: list[list[ReassignmentOutcome]] = field(default_factory=lambda: [[]])
    moves: list[list[Reassignment]] = field(default_factory=lambda: [[]])
    sizes: dict[TopicPartition, dict[int, LogDirReplica]] = field(default_factory=dict)
    elections: list[ElectionOutcome] = field(default_factory=list)
    verified: list[VerifiedPartition] = field(default_factory=list)
    brokers: list[list[BrokerInfo]] = field(default_factory=lambda: [[]])
    dirs: list[LogDir] | StreamkeepError = field(default_factory=list)
    topics: dict[str, list[PartitionInfo]] = field(default_factory=lambda: {"t": [PartitionInfo()]})
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    # --- moves ---

    async def reassign_partitions(
        self, replicas: Mapping[Any, Any], *, directory_ids: Mapping[Any, Any], validate_only: bool
    ) -> list[ReassignmentOutcome]:
        self.asked.append(("reassign", dict(replicas), dict(directory_ids), validate_only))
        return _next(self.outcomes)

    async def cancel_reassignments(
        self, named: Iterable[Any], *, validate_only: bool
    ) -> list[ReassignmentOutcome]:
        self.asked.append(("cancel", list(named), validate_only))
        return _next(self.outcomes)

    async def empty_broker(self, broker_id: int, *, validate_only: bool = False) -> list[ReassignmentOutcome]:
        self.asked.append(("empty", broker_id, validate_only))
        return _next(self.outcomes)

    async def set_replication_factor(
        self, topic: str, factor: int, *, validate_only: bool
    ) -> list[ReassignmentOutcome]:
        self.asked.append(("resize", topic, factor, validate_only))
        return _next(self.outcomes)

    async def list_reassignments(self, topics: Iterable[str] = ()) -> list[Reassignment]:
        return _next(self.moves)

    async def replica_sizes(
        self, brokers: Iterable[int] = ()
    ) -> dict[TopicPartition, dict[int, LogDirReplica]]:
        return self.sizes

    async def alter_topic_settings(self, topic: str, **changes: Any) -> None:
        self.asked.append(("alter", topic, changes))

    # --- leaders and replicas ---

    async def elect_leaders(
        self, named: Iterable[Any], *, unclean: bool, validate_only: bool
    ) -> list[ElectionOutcome]:
        self.asked.append(("elect", list(named), unclean, validate_only))
        return self.elections

    async def verify_replicas(self, topics: Iterable[str]) -> list[VerifiedPartition]:
        return self.verified

    # --- brokers and topics ---

    async def describe_cluster(self) -> DescribeClusterResponse:
        return DescribeClusterResponse(brokers=_next(self.brokers))

    async def describe_all_log_dirs(
        self, brokers: Iterable[int]
    ) -> dict[int, list[LogDir] | StreamkeepError]:
        return dict.fromkeys(brokers, self.dirs)

    async def drain_broker(
        self, broker_id: int, *, draining: bool = True, validate_only: bool = False
    ) -> DrainBrokerResponse:
        self.asked.append(("drain", broker_id, draining, validate_only))
        return DrainBrokerResponse()

    async def remove_broker(self, broker_id: int) -> None:
        self.asked.append(("remove", broker_id))

    async def describe_topics(self, names: Sequence[str] = ()) -> list[TopicInfo]:
        return [TopicInfo(name=name, partitions=self.topics[name]) for name in names]

    async def delete_topics(self, names: Iterable[str], *, validate_only: bool) -> list[TopicOutcome]:
        self.asked.append(("delete", list(names), validate_only))
        return [TopicOutcome(name=name, partitions=len(self.topics[name])) for name in names]

    async def list_topics(self) -> list[TopicListing]:
        return [
            TopicListing(name=name, topic_id=bytes(16), partitions=len(each))
            for name, each in self.topics.items()
        ]


def _next(answers: list[T]) -> T:
    return answers.pop(0) if len(answers) > 1 else answers[0]


def fake_cluster(admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands speak to `admin`, and do not wait between two looks."""

    def ask(_invocation: Invocation, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            return await work(Cluster(cast(Any, None), cast(Any, admin)))

        return asyncio.run(run())

    monkeypatch.setattr("streamctl.cluster.ask", ask)
    monkeypatch.setattr("streamctl.moves.LOOK_S", 0)
    monkeypatch.setattr("streamctl.draining.LOOK_S", 0)


def streamctl(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, env={"STREAMKEEP_BOOTSTRAP": None})

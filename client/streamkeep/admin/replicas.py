"""What replicas hold: their sizes, and whether they are the same, byte by byte."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from streamkeep.admin.description import DescribingAdmin
from streamkeep.client import Client
from streamkeep.topic_partition import TopicPartition
from streamkeep_common.errors import (
    CorruptLogError,
    ReplicaNotAvailableError,
    StreamkeepError,
    raise_if_error,
)
from streamkeep_common.methods import HASH_REPLICAS
from streamkeep_proto.v1.broker_pb2 import LogDir, LogDirReplica
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo, TopicInfo
from streamkeep_proto.v1.replication_pb2 import HashReplica, HashReplicasRequest

HASH_TIMEOUT_S = 300.0
"""A replica of some 100 GB is read and hashed in that time."""

AT_A_TIME = 4
"""Partitions that are hashed together: it reads disks that others need too."""

ROUNDS = 4
"""How often a partition is looked at whose replicas do not agree: it may be moving, or losing its oldest
records just then."""

ROUND_WAIT_S = 0.5


class Digest(NamedTuple):
    """What a replica holds of a range: what is equal has equal digests. Offsets are where the frames end."""

    from_offset: int
    to_offset: int
    size_bytes: int
    sha256: bytes


ReplicaAnswer: TypeAlias = Digest | StreamkeepError


@dataclass(frozen=True, slots=True)
class VerifiedPartition:
    """The in-sync replicas of one partition, compared from the greatest of their log starts (`from_offset`)
    up to the least of their high watermarks (`to_offset`). `replicas` has what each broker answered; one that
    is not in sync cannot be compared, and that is its answer. `seen_wrong` are the brokers whose replica was
    damaged or differed in an earlier look.
    """

    topic_partition: TopicPartition
    leader: int
    from_offset: int
    to_offset: int
    replicas: Mapping[int, ReplicaAnswer]
    seen_wrong: tuple[int, ...] = ()

    @property
    def identical(self) -> bool:
        """All replicas answered, and hold the same bytes."""
        return not self.differing and not self.unanswered

    @property
    def differing(self) -> tuple[int, ...]:
        """Brokers that hold other bytes than the leader, or if it does not answer than most do."""
        digests = {broker: answer for broker, answer in self.replicas.items() if isinstance(answer, Digest)}
        if not digests:
            return ()
        ((most, _),) = Counter(digests.values()).most_common(1)
        right = digests.get(self.leader, most)
        return tuple(broker for broker, digest in digests.items() if digest != right)

    @property
    def damaged(self) -> tuple[int, ...]:
        """Brokers that found their replica damaged. They copy it anew where another has the same."""
        return tuple(
            broker for broker, answer in self.replicas.items() if isinstance(answer, CorruptLogError)
        )

    @property
    def wrong_before(self) -> tuple[int, ...]:
        """Brokers whose replica was damaged or differed in an earlier look, and not in the last one."""
        wrong_now = {*self.differing, *self.damaged}
        return tuple(broker for broker in self.seen_wrong if broker not in wrong_now)

    def seen_after(self, earlier: VerifiedPartition) -> VerifiedPartition:
        """This look, with what an earlier one has found."""
        seen = {*earlier.seen_wrong, *earlier.differing, *earlier.damaged}
        return replace(self, seen_wrong=tuple(sorted(seen)))

    @property
    def unanswered(self) -> tuple[int, ...]:
        """Brokers that did not answer, or have no replica that can be compared although they should."""
        return tuple(
            broker for broker, answer in self.replicas.items() if isinstance(answer, StreamkeepError)
        )


class ReplicaAdmin(DescribingAdmin):
    """See `Admin`."""

    async def replica_sizes(
        self, broker_ids: Iterable[int] = ()
    ) -> dict[TopicPartition, dict[int, LogDirReplica]]:
        """What the replicas of each partition take and how far they go, by broker; brokers that do not answer
        are left out."""
        sizes: dict[TopicPartition, dict[int, LogDirReplica]] = {}
        for broker_id, dirs in (await self.describe_all_log_dirs(broker_ids)).items():
            for replica in () if isinstance(dirs, StreamkeepError) else _replicas(dirs):
                topic_partition = TopicPartition(replica.topic, replica.partition)
                sizes.setdefault(topic_partition, {})[broker_id] = replica
        return sizes

    async def verify_replicas(self, topics: Iterable[str] = ()) -> list[VerifiedPartition]:
        """Compare all replicas of each partition of these topics, or of all, by SHA-256 of their bytes.

        Replicas that do not agree are looked at again a few times, since they may be on the move. One that is
        found damaged is copied anew meanwhile, and may be identical in the end: see `wrong_before`. Writing
        and reading go on. Raises UnknownTopicError.
        """
        names = list(topics)
        verified: dict[TopicPartition, VerifiedPartition] = {}
        for round_ in range(ROUNDS):
            if round_:
                await self._client.clock.sleep(ROUND_WAIT_S)
            described = await self.describe_topics(names)
            pending = [
                (topic, partition)
                for topic in described
                for partition in _partitions(topic, is_named=bool(names) and not round_)
                if not round_ or _is_open(verified.get(TopicPartition(topic.name, partition.partition)))
            ]
            if not pending:
                break
            for topic_partition, look in (await self._verify(pending)).items():
                earlier = verified.get(topic_partition)
                verified[topic_partition] = look if earlier is None else look.seen_after(earlier)
        return [verified[topic_partition] for topic_partition in sorted(verified)]

    async def _verify(
        self, partitions: Sequence[tuple[TopicInfo, PartitionInfo]]
    ) -> dict[TopicPartition, VerifiedPartition]:
        brokers = sorted({broker for _, partition in partitions for broker in partition.replicas})
        addresses = await self.broker_addresses()
        dirs = await self._log_dirs_of(brokers, addresses)
        comparison = _Comparison(self._client, dirs, addresses)
        compared = await asyncio.gather(*(comparison.of(*each) for each in partitions))
        return {each.topic_partition: each for each in compared}


class _Comparison:
    """Partitions as they are at one moment. `dirs` is what each broker says that it holds: who does not even
    say that is not asked to hash."""

    def __init__(
        self,
        client: Client,
        dirs: Mapping[int, list[LogDir] | StreamkeepError],
        addresses: Mapping[int, str],
    ) -> None:
        self._client = client
        self._addresses = addresses
        self._held: dict[int, dict[tuple[bytes, int], LogDirReplica]] = {}
        self._silent: dict[int, StreamkeepError] = {}
        for broker_id, told in dirs.items():
            if isinstance(told, StreamkeepError):
                self._silent[broker_id] = told
            else:
                self._held[broker_id] = {(each.topic_id, each.partition): each for each in _replicas(told)}
        self._turns = asyncio.Semaphore(AT_A_TIME)

    async def of(self, topic: TopicInfo, partition: PartitionInfo) -> VerifiedPartition:
        key = topic.topic_id, partition.partition
        in_sync = partition.isr or partition.replicas  # without a leader all are compared as they are
        present = [held[key] for broker, held in self._held.items() if key in held and broker in in_sync]
        from_offset = max((each.log_start_offset for each in present), default=0)
        to_offset = max(from_offset, min((each.high_watermark for each in present), default=0))
        asked = HashReplica(
            topic_id=topic.topic_id,
            partition=partition.partition,
            from_offset=from_offset,
            to_offset=to_offset,
        )
        async with self._turns:
            answers = await asyncio.gather(
                *(self._digest(each, asked, is_in_sync=each in in_sync) for each in partition.replicas)
            )
        return VerifiedPartition(
            TopicPartition(topic.name, partition.partition),
            partition.leader,
            from_offset,
            to_offset,
            dict(zip(partition.replicas, answers, strict=True)),
        )

    async def _digest(self, broker_id: int, asked: HashReplica, *, is_in_sync: bool) -> ReplicaAnswer:
        if broker_id in self._silent:
            return self._silent[broker_id]
        if not is_in_sync:
            return ReplicaNotAvailableError(f"the replica on broker {broker_id} is not in sync yet")
        request = HashReplicasRequest(replicas=[asked])
        try:
            answer = await self._client.call_broker(
                self._addresses[broker_id], HASH_REPLICAS, request, timeout_s=HASH_TIMEOUT_S
            )
            (replica,) = answer.replicas
            raise_if_error(replica.error)
        except StreamkeepError as error:
            return error
        return Digest(replica.from_offset, replica.to_offset, replica.size_bytes, replica.sha256)


def _replicas(dirs: Iterable[LogDir]) -> Iterator[LogDirReplica]:
    for directory in dirs:
        yield from directory.replicas


def _partitions(topic: TopicInfo, *, is_named: bool) -> Iterable[PartitionInfo]:
    """None of a topic that has been deleted meanwhile; raises if one that was named never was."""
    if is_named:
        raise_if_error(topic.error)
    return topic.partitions


def _is_open(verified: VerifiedPartition | None) -> bool:
    return verified is not None and not verified.identical

"""Where replicas are: moves, leaders, brokers on their way out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from streamkeep.admin.description import DescribingAdmin
from streamkeep.admin.outcomes import Answers, by_partition
from streamkeep.coordinators import Whom
from streamkeep.topic_partition import AnyTopicPartition, TopicPartition
from streamkeep_common.errors import StreamkeepError, to_proto
from streamkeep_common.limits import MAX_MOVES_PER_REQUEST
from streamkeep_common.methods import DRAIN_BROKER, ELECT_LEADERS, REASSIGN_PARTITIONS, REMOVE_BROKER
from streamkeep_proto.v1.coordinator_pb2 import (
    PREFERRED,
    UNCLEAN,
    CancelPlan,
    DrainBrokerRequest,
    DrainBrokerResponse,
    ElectionOutcome,
    ElectLeadersRequest,
    EmptyBrokerPlan,
    ExplicitPlan,
    PartitionTarget,
    ReassignmentOutcome,
    ReassignPartitionsRequest,
    RemoveBrokerRequest,
    ReplicationFactorPlan,
    TopicInfo,
    TopicPartitionName,
)

N = TypeVar("N", PartitionTarget, TopicPartitionName)
M = TypeVar("M", ReassignmentOutcome, ElectionOutcome)


@dataclass(frozen=True, slots=True)
class Reassignment:
    """A move that is under way. It is complete when all `target` replicas are in sync (`isr`).

    `adding` are the brokers that copy the partition, `removing` those that drop it then.
    """

    topic_partition: TopicPartition
    leader: int
    target: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]
    isr: tuple[int, ...]


class PlacementAdmin(DescribingAdmin):
    """See `Admin`."""

    # --- replicas ---

    async def reassign_partitions(
        self,
        replicas: Mapping[AnyTopicPartition, Sequence[int]],
        *,
        directory_ids: Mapping[AnyTopicPartition, Sequence[bytes]] | None = None,
        validate_only: bool = False,
    ) -> Answers[TopicPartition, ReassignmentOutcome]:
        """Give partitions these replicas, broker ids, the preferred leader first. New ones are copied first;
        old ones go when all new ones are in sync.

        `directory_ids` names a log directory for each replica, b"" where it does not matter. One outcome a
        partition, with its `error`; those that are as wanted, or on their way there, are left out, also if
        this very call began it and the first answer was lost.
        """
        targets = [
            PartitionTarget(
                topic=topic_partition[0],
                partition=topic_partition[1],
                replicas=wanted,
                directory_ids=(directory_ids or {}).get(topic_partition, ()),
            )
            for topic_partition, wanted in replicas.items()
        ]

        async def reassign(some: Sequence[PartitionTarget]) -> Iterable[ReassignmentOutcome]:
            plan = ReassignPartitionsRequest(explicit=ExplicitPlan(partitions=some))
            return await self._reassign(plan, validate_only=validate_only)

        return by_partition(await _in_portions(targets, reassign, ReassignmentOutcome) if targets else ())

    async def empty_broker(
        self, broker_id: int, *, validate_only: bool = False
    ) -> Answers[TopicPartition, ReassignmentOutcome]:
        """Move all replicas of a broker to others, spread over brokers and racks. Best after `drain_broker`.

        One call moves up to 1000 partitions; repeat it until the answer is empty. Raises UnknownBrokerError.
        """
        plan = ReassignPartitionsRequest(empty_broker=EmptyBrokerPlan(broker_id=broker_id))
        return await self._reassign(plan, validate_only=validate_only)

    async def set_replication_factor(
        self, topic: str, replication_factor: int, *, validate_only: bool = False
    ) -> Answers[TopicPartition, ReassignmentOutcome]:
        """Give each partition of a topic more or fewer replicas. The leader stays.

        One call moves up to 1000 partitions; repeat it until the answer is empty. Raises UnknownTopicError
        or InvalidReplicationFactorError.
        """
        plan = ReplicationFactorPlan(topic=topic, replication_factor=replication_factor)
        request = ReassignPartitionsRequest(replication_factor=plan)
        return await self._reassign(request, validate_only=validate_only)

    async def cancel_reassignments(
        self, topic_partitions: Iterable[AnyTopicPartition] = (), *, validate_only: bool = False
    ) -> Answers[TopicPartition, ReassignmentOutcome]:
        """Stop moves and go back to the replicas from before; if none is named up to 1000 that are under way:
        repeat that until the answer is empty.

        One outcome a partition: NO_REASSIGNMENT_IN_PROGRESS where there is nothing to stop.
        """

        async def cancel(some: Sequence[TopicPartitionName]) -> Iterable[ReassignmentOutcome]:
            plan = ReassignPartitionsRequest(cancel=CancelPlan(partitions=some))
            return await self._reassign(plan, validate_only=validate_only)

        return by_partition(await _in_portions(_names(topic_partitions), cancel, ReassignmentOutcome))

    async def list_reassignments(self, topics: Iterable[str] = ()) -> list[Reassignment]:
        """The moves that are under way, of these topics or of all."""
        described = await self.describe_topics(topics)
        return [move for topic in described for move in _moves(topic)]

    async def _reassign(
        self, request: ReassignPartitionsRequest, *, validate_only: bool
    ) -> Answers[TopicPartition, ReassignmentOutcome]:
        request.validate_only = validate_only
        return by_partition((await self._ask(Whom.ACTIVE, REASSIGN_PARTITIONS, request)).outcomes)

    # --- leaders ---

    async def elect_leaders(
        self,
        topic_partitions: Iterable[AnyTopicPartition] = (),
        *,
        unclean: bool = False,
        validate_only: bool = False,
    ) -> Answers[TopicPartition, ElectionOutcome]:
        """Make the preferred replica of each partition its leader, where it is in sync; of all if none is
        named.

        `unclean` instead gives named partitions without a leader any live replica. What it lacks of the
        acknowledged records IS LOST. One outcome a partition: ELECTION_NOT_NEEDED where nothing changes.
        """

        async def elect(some: Sequence[TopicPartitionName]) -> Iterable[ElectionOutcome]:
            request = ElectLeadersRequest(
                kind=UNCLEAN if unclean else PREFERRED, partitions=some, validate_only=validate_only
            )
            return (await self._ask(Whom.ACTIVE, ELECT_LEADERS, request)).outcomes

        return by_partition(await _in_portions(_names(topic_partitions), elect, ElectionOutcome))

    # --- brokers ---

    async def drain_broker(
        self, broker_id: int, *, draining: bool = True, validate_only: bool = False
    ) -> DrainBrokerResponse:
        """Let a broker get no new replicas, or with `draining=False` let it again. What it has stays there:
        `empty_broker` moves it. Raises UnknownBrokerError.
        """
        request = DrainBrokerRequest(broker_id=broker_id, draining=draining, validate_only=validate_only)
        return await self._ask(Whom.ACTIVE, DRAIN_BROKER, request)

    async def remove_broker(self, broker_id: int, *, validate_only: bool = False) -> None:
        """Forget a broker that is stopped and has no replicas.

        Raises BrokerNotEmptyError, or UnknownBrokerError, which if an answer was lost may be about the broker
        that this call removed.
        """
        request = RemoveBrokerRequest(broker_id=broker_id, validate_only=validate_only)
        await self._ask(Whom.ACTIVE, REMOVE_BROKER, request)


async def _in_portions(
    named: Sequence[N], change: Callable[[Sequence[N]], Awaitable[Iterable[M]]], outcome: type[M]
) -> list[M]:
    """One request after the other, as many items in each as it may name; one if none is named.

    Raises why the first was refused or not answered. With a later one that is the outcome of all that it and
    those behind it name: what was done by then is told, too.
    """
    outcomes: list[M] = []
    for start in range(0, max(1, len(named)), MAX_MOVES_PER_REQUEST):
        try:
            outcomes += await change(named[start : start + MAX_MOVES_PER_REQUEST])
        except StreamkeepError as error:
            if not start:
                raise
            told = to_proto(error)
            outcomes += [
                outcome(topic=each.topic, partition=each.partition, error=told) for each in named[start:]
            ]
            break
    return outcomes


def _names(topic_partitions: Iterable[tuple[str, int]]) -> list[TopicPartitionName]:
    return [TopicPartitionName(topic=topic, partition=partition) for topic, partition in topic_partitions]


def _moves(topic: TopicInfo) -> Iterator[Reassignment]:
    for partition in topic.partitions:
        removing = tuple(partition.removing_replicas)
        if partition.adding_replicas or removing:
            yield Reassignment(
                topic_partition=TopicPartition(topic.name, partition.partition),
                leader=partition.leader,
                target=tuple(each for each in partition.replicas if each not in removing),
                adding=tuple(partition.adding_replicas),
                removing=removing,
                isr=tuple(partition.isr),
            )

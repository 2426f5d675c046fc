"""Where replicas are: moves, leaders, brokers on their way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from streamkeep.admin.outcomes import Answers
from streamkeep.admin.placement import Reassignment
from streamkeep.blocking.admin.base import AdminBase
from streamkeep.topic_partition import AnyTopicPartition, TopicPartition
from streamkeep_proto.v1.coordinator_pb2 import DrainBrokerResponse, ElectionOutcome, ReassignmentOutcome


class PlacementAdmin(AdminBase):
    """See `Admin`."""

    def reassign_partitions(
        self,
        replicas: Mapping[AnyTopicPartition, Sequence[int]],
        *,
        directory_ids: Mapping[AnyTopicPartition, Sequence[bytes]] | None = None,
        validate_only: bool = False,
    ) -> Answers[TopicPartition, ReassignmentOutcome]:
        """Give partitions these replicas, broker ids, the preferred leader first. New ones are copied
        first; old ones go when all new ones are in sync."""
        return self._call(
            self._on_loop.reassign_partitions(
                replicas, directory_ids=directory_ids, validate_only=validate_only
            )
        )

    def empty_broker(
        self, broker_id: int, *, validate_only: bool = False
    ) -> Answers[TopicPartition, ReassignmentOutcome]:
        """Move all replicas of a broker to others, spread over brokers and racks. Best after
        `drain_broker`."""
        return self._call(self._on_loop.empty_broker(broker_id, validate_only=validate_only))

    def set_replication_factor(
        self, topic: str, replication_factor: int, *, validate_only: bool = False
    ) -> Answers[TopicPartition, ReassignmentOutcome]:
        """Give each partition of a topic more or fewer replicas. The leader stays."""
        return self._call(
            self._on_loop.set_replication_factor(topic, replication_factor, validate_only=validate_only)
        )

    def cancel_reassignments(
        self, topic_partitions: Iterable[AnyTopicPartition] = (), *, validate_only: bool = False
    ) -> Answers[TopicPartition, ReassignmentOutcome]:
        """Stop moves and go back to the replicas from before; if none is named up to 1000 that are under
        way: repeat that until the answer is empty."""
        return self._call(self._on_loop.cancel_reassignments(topic_partitions, validate_only=validate_only))

    def list_reassignments(self, topics: Iterable[str] = ()) -> list[Reassignment]:
        """The moves that are under way, of these topics or of all."""
        return self._call(self._on_loop.list_reassignments(topics))

    def elect_leaders(
        self,
        topic_partitions: Iterable[AnyTopicPartition] = (),
        *,
        unclean: bool = False,
        validate_only: bool = False,
    ) -> Answers[TopicPartition, ElectionOutcome]:
        """Make the preferred replica of each partition its leader, where it is in sync; of all if none is
        named."""
        return self._call(
            self._on_loop.elect_leaders(topic_partitions, unclean=unclean, validate_only=validate_only)
        )

    def drain_broker(
        self, broker_id: int, *, draining: bool = True, validate_only: bool = False
    ) -> DrainBrokerResponse:
        """Let a broker get no new replicas, or with `draining=False` let it again. What it has stays
        there: `empty_broker` moves it. Raises UnknownBrokerError."""
        return self._call(
            self._on_loop.drain_broker(broker_id, draining=draining, validate_only=validate_only)
        )

    def remove_broker(self, broker_id: int, *, validate_only: bool = False) -> None:
        """Forget a broker that is stopped and has no replicas."""
        self._call(self._on_loop.remove_broker(broker_id, validate_only=validate_only))

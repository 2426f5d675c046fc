"""The values of which the image is made.

A partition is a tuple and not its protobuf message: messages can be changed by whoever holds them, and
each costs 1.3 KiB where this costs 0.2 (measured), which at 200,000 partitions decides. The names are those
of PartitionRecord. Brokers are few, so their record is used as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streamkeep_common.image.persistent_map import PersistentMap
from streamkeep_proto.v1.metadata_pb2 import BrokerRecord, QuorumRecord


class Standing(NamedTuple):
    """Who leads a partition and who is in sync; fields as in PartitionStanding. Leader 0 = none."""

    isr: tuple[int, ...]
    elr: tuple[int, ...]
    leader: int
    last_members: tuple[int, ...] = ()


class PartitionImage(NamedTuple):
    """One partition; fields as in PartitionRecord. Leader 0 = none."""

    topic_id: bytes
    partition: int
    replicas: tuple[int, ...]
    directory_ids: tuple[bytes, ...]
    isr: tuple[int, ...]
    elr: tuple[int, ...]
    leader: int
    leader_epoch: int
    partition_epoch: int
    adding_replicas: tuple[int, ...] = ()
    removing_replicas: tuple[int, ...] = ()
    last_members: tuple[int, ...] = ()

    @property
    def standing(self) -> Standing:
        return Standing(self.isr, self.elr, self.leader, self.last_members)

    @property
    def target_replicas(self) -> tuple[int, ...]:
        """The replicas without those that go when the reassignment completes."""
        if not self.removing_replicas:
            return self.replicas
        return tuple(each for each in self.replicas if each not in self.removing_replicas)

    def required_isr(self, min_insync_replicas: int) -> int:
        """How many must be in sync for anything to be acknowledged, given the topic's setting.

        A partition with fewer replicas needs them all. Those that a reassignment adds are no replicas yet for
        this: a partition that gets its second one must not stop until that is copied.
        """
        return min(min_insync_replicas, len(self.replicas) - len(self.adding_replicas))

    def directory_of(self, broker_id: int) -> bytes | None:
        """The log directory of a broker's replica, or None if the broker holds none."""
        if broker_id not in self.replicas:
            return None
        return self.directory_ids[self.replicas.index(broker_id)]


class TopicImage(NamedTuple):
    """One topic. `partitions[n]` is partition n; `settings` are those that are not defaults."""

    topic_id: bytes
    name: str
    partitions: tuple[PartitionImage, ...] = ()
    settings: Mapping[str, str] = {}

    @property
    def replication_factor(self) -> int:
        """Replicas of a partition, of the one that has most if they differ; once all moves are complete."""
        return max((len(each.replicas) - len(each.removing_replicas) for each in self.partitions), default=0)


class BrokerImage(NamedTuple):
    """One registered broker; fenced, it neither leads nor is in sync. `registration` must not be changed."""

    registration: BrokerRecord
    fenced: bool

    @property
    def broker_id(self) -> int:
        return self.registration.broker_id

    @property
    def broker_epoch(self) -> int:
        return self.registration.broker_epoch

    @property
    def address(self) -> str:
        return self.registration.address

    @property
    def rack(self) -> str:
        return self.registration.rack

    @property
    def draining(self) -> bool:
        """The operator empties it: it gets no new replicas."""
        return self.registration.draining

    @property
    def directory_ids(self) -> Sequence[bytes]:
        """The directories that it has, stalled and full ones too."""
        return self.registration.directory_ids

    def is_stalled(self, directory_id: bytes) -> bool:
        """Flushes take too long there."""
        return directory_id in self.registration.stalled_directory_ids

    def is_full(self, directory_id: bytes) -> bool:
        return directory_id in self.registration.full_directory_ids


@dataclass(frozen=True, slots=True)
class ClusterImage:
    """Everything that the metadata log says up to `index`. Immutable; images share what did not change.

    `quorum` is who keeps the log (None: the log says nothing of it, below feature level 2); it must not be
    changed. `brokers` is by id, ascending. The counts of partitions are kept along, since counting 200,000
    of them for a placement or a metric would stop the loop: by leader (0 = without one), and of replicas by
    broker and by log directory. Counts of zero are left out.

    `hosted` says for each broker in which topics (by id) it has how many replicas, so that what happens to a
    broker costs by its own topics. It stops at topics: naming each partition would take 60 MiB for 200,000
    partitions on 1,000 brokers, and to look through a topic's partitions costs less than that saves.

    `removed_brokers` has the last epoch of each broker that was removed, by id: who takes the id later begins
    above it, since the old one may only be stopped, and what it says then must not count for the new one.
    """

    index: int = 0
    cluster_id: str = ""
    feature_level: int = 0
    quorum: QuorumRecord | None = None
    next_producer_id: int = 1
    brokers: Mapping[int, BrokerImage] = field(default_factory=dict)
    removed_brokers: Mapping[int, int] = field(default_factory=dict)
    topics: PersistentMap[bytes, TopicImage] = field(default_factory=PersistentMap)
    topic_ids: PersistentMap[str, bytes] = field(default_factory=PersistentMap)
    leader_counts: Mapping[int, int] = field(default_factory=dict)
    replica_counts: Mapping[int, int] = field(default_factory=dict)
    directory_counts: Mapping[bytes, int] = field(default_factory=dict)
    hosted: Mapping[int, PersistentMap[bytes, int]] = field(default_factory=dict)

    @property
    def cluster_epoch(self) -> int:
        """Rises when the cluster is recovered by force; 0 = the log does not say, below feature level 2."""
        return 0 if self.quorum is None else self.quorum.cluster_epoch

    @property
    def partition_count(self) -> int:
        return sum(self.leader_counts.values())

    @property
    def offline_partition_count(self) -> int:
        """Partitions without a leader."""
        return self.leader_counts.get(0, 0)

    def topic(self, name: str) -> TopicImage | None:
        """The topic of that name, or None."""
        topic_id = self.topic_ids.get(name)
        return None if topic_id is None else self.topics[topic_id]

    def topics_of(self, broker_id: int) -> Iterator[TopicImage]:
        """The topics of which the broker has a replica, in an order that is the same everywhere."""
        return (self.topics[topic_id] for topic_id in self.hosted.get(broker_id, ()))

    def partition(self, topic_id: bytes, partition: int) -> PartitionImage | None:
        """One partition, or None if there is no such topic or number."""
        topic = self.topics.get(topic_id)
        if topic is None or not 0 <= partition < len(topic.partitions):
            return None
        return topic.partitions[partition]

    def is_live(self, broker_id: int) -> bool:
        """Registered and not fenced: it may lead and be in sync."""
        broker = self.brokers.get(broker_id)
        return broker is not None and not broker.fenced

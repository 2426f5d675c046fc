"""A cluster in which partitions stand as a test says, and the commands that move them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamkeep_common.image import ClusterImage, PartitionImage, apply
from streamkeep_coordinator.metadata import Decision
from streamkeep_coordinator.metadata.plans import reassign_partitions
from streamkeep_coordinator.metadata.reassign import complete_reassignment
from streamkeep_coordinator.metadata.topic_settings import min_insync_replicas
from streamkeep_proto.v1.coordinator_pb2 import (
    CancelPlan,
    EmptyBrokerPlan,
    ExplicitPlan,
    PartitionTarget,
    ReassignmentOutcome,
    ReassignPartitionsRequest,
    ReplicationFactorPlan,
    TopicPartitionName,
)
from streamkeep_proto.v1.metadata_pb2 import (
    BrokerFencedRecord,
    BrokerRecord,
    FeatureLevelRecord,
    MetadataRecord,
    PartitionChangeRecord,
    PartitionRecord,
    SettingRecord,
    TopicRecord,
)


def directory(broker_id: int, number: int = 1) -> bytes:
    return f"dir-{broker_id}-{number}".encode().ljust(16, b".")


class Layout:
    """Brokers 1, 2, ... all live, each in its rack, with so many directories; `image` is as it is now."""

    def __init__(self, brokers: int = 4, *, racks: Sequence[str] = (), directories: int = 1) -> None:
        self.image = ClusterImage()
        self.write(MetadataRecord(feature_level=FeatureLevelRecord(level=3)))
        for broker_id in range(1, brokers + 1):
            self.register(broker_id, rack=racks[broker_id - 1] if racks else "", directories=directories)
            self.fence(broker_id, fenced=False)

    def write(self, *records: MetadataRecord) -> None:
        self.image, _ = apply(self.image, records, self.image.index + 1)

    def register(self, broker_id: int, *, rack: str = "", directories: int = 1, **marks: object) -> None:
        registration = BrokerRecord(
            broker_id=broker_id,
            broker_epoch=1,
            incarnation_id=bytes(16),
            address=f"host-{broker_id}:7201",
            rack=rack,
            directory_ids=[directory(broker_id, number) for number in range(1, directories + 1)],
            **marks,  # type: ignore[arg-type]
        )
        self.write(MetadataRecord(broker=registration))

    def fence(self, broker_id: int, *, fenced: bool = True) -> None:
        """Only that; who leads and who is in sync stays as the test says."""
        record = BrokerFencedRecord(broker_id=broker_id, broker_epoch=1, fenced=fenced)
        self.write(MetadataRecord(broker_fenced=record))

    def topic(self, name: str, *partitions: Sequence[int], min_isr: int = 2) -> None:
        """The replicas of each partition; all are in sync and the first one leads."""
        topic_id = name.encode().ljust(16, b".")
        self.write(
            MetadataRecord(topic=TopicRecord(topic_id=topic_id, name=name)),
            MetadataRecord(
                setting=SettingRecord(topic_id=topic_id, name="min_insync_replicas", value=str(min_isr))
            ),
            *(
                MetadataRecord(
                    partition=PartitionRecord(
                        topic_id=topic_id,
                        partition=number,
                        replicas=replicas,
                        directory_ids=[directory(each) for each in replicas],
                        isr=replicas,
                        leader=replicas[0],
                        leader_epoch=1,
                        partition_epoch=1,
                    )
                )
                for number, replicas in enumerate(partitions)
            ),
        )

    def partition(self, name: str = "t", number: int = 0) -> PartitionImage:
        topic = self.image.topic(name)
        assert topic is not None
        return topic.partitions[number]

    def stand(self, isr: Sequence[int], *, elr: Sequence[int] = (), leader: int = 0) -> None:
        """How t-0 stands from now on, as it comes; the leader is the first in sync unless given."""
        before = self.partition()
        leader = leader or next(iter(isr), 0)
        record = PartitionChangeRecord(
            topic_id=before.topic_id,
            partition=0,
            isr=isr,
            elr=elr,
            leader=leader,
            leader_epoch=before.leader_epoch + (leader != before.leader),
            partition_epoch=before.partition_epoch + 1,
        )
        self.write(MetadataRecord(partition_change=record))

    def in_sync(self, *isr: int) -> bool:
        """The leader of t-0 proposes these. Whether that completes a move."""
        partition = self.partition()
        topic = self.image.topics[partition.topic_id]
        standing = partition.standing._replace(isr=isr, elr=())
        record = complete_reassignment(
            self.image, partition, standing, min_insync_replicas=min_insync_replicas(topic)
        )
        if record is None:
            self.stand(isr, leader=partition.leader)
            return False
        self.write(record)
        return True

    def move(
        self, replicas: Sequence[int], *, name: str = "t", number: int = 0, directories: Sequence[bytes] = ()
    ) -> ReassignmentOutcome | None:
        """What becomes of one named partition; None: it is left out."""
        target = PartitionTarget(topic=name, partition=number, replicas=replicas, directory_ids=directories)
        outcomes = self.plan(ReassignPartitionsRequest(explicit=ExplicitPlan(partitions=[target])))
        return outcomes[0] if outcomes else None

    def empty(self, broker_id: int) -> list[ReassignmentOutcome]:
        return self.plan(ReassignPartitionsRequest(empty_broker=EmptyBrokerPlan(broker_id=broker_id)))

    def resize(self, replication_factor: int, name: str = "t") -> list[ReassignmentOutcome]:
        plan = ReplicationFactorPlan(topic=name, replication_factor=replication_factor)
        return self.plan(ReassignPartitionsRequest(replication_factor=plan))

    def cancel(self, *partitions: tuple[str, int]) -> list[ReassignmentOutcome]:
        names = [TopicPartitionName(topic=name, partition=number) for name, number in partitions]
        return self.plan(ReassignPartitionsRequest(cancel=CancelPlan(partitions=names)))

    def plan(self, request: ReassignPartitionsRequest) -> list[ReassignmentOutcome]:
        return list(self.commit(reassign_partitions(self.image, request)).outcomes)

    def commit(self, decision: Decision[object]) -> Any:
        if decision.records:
            self.write(*decision.records)
        return decision.answer

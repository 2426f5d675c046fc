"""Records into a new image: one handler a record type; all records of an entry take effect together.

Records were validated before they were proposed, so one that does not fit the image means that the log is
damaged or is another cluster's: the process must stop, not guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

from streamkeep_common.image.delta import ImageDelta
from streamkeep_common.image.edit import DoesNotFitError, ImageEdit, TopicDraft
from streamkeep_common.image.features import (
    COMPACT_FEATURE_LEVEL,
    QUORUM_FEATURE_LEVEL,
    REPLICATION_FEATURE_LEVEL,
    check_feature_level,
    check_known,
)
from streamkeep_common.image.model import BrokerImage, ClusterImage, PartitionImage, Standing, TopicImage
from streamkeep_common.limits import ID_BYTES
from streamkeep_proto.v1.metadata_pb2 import (
    BrokerFencedRecord,
    BrokerRecord,
    BrokerRemovedRecord,
    ClusterRecord,
    FeatureLevelRecord,
    MetadataRecord,
    NoOpRecord,
    PartitionChangeRecord,
    PartitionChangesRecord,
    PartitionPlacementRecord,
    PartitionRecord,
    PartitionStanding,
    ProducerIdsRecord,
    QuorumRecord,
    SettingRecord,
    TopicRecord,
    TopicRemovedRecord,
)

LOST_EPOCHS = 1 << 16
"""When a cluster is recovered by force, what it had decided last may be lost. An epoch that was given then
must not be given again: another leader would write other records under it, and nobody could tell."""

T = TypeVar("T")


class InconsistentMetadataError(Exception):
    """A committed record does not fit the image it is applied to. Nothing was changed; do not go on."""


def apply(
    image: ClusterImage, records: Iterable[MetadataRecord], index: int
) -> tuple[ClusterImage, ImageDelta]:
    """The image after one committed entry, and what the entry changed.

    `index` is the entry's, above the image's. Raises UnsupportedFeatureError for a record type, a field or
    a feature level that this process does not know, and InconsistentMetadataError for a record that
    contradicts the image; in both cases `image` is as it was.
    """
    if index <= image.index:
        raise InconsistentMetadataError(f"entry {index} does not follow entry {image.index}")
    edit = ImageEdit(image)
    apply_records(edit, records, f"metadata entry {index}")
    return edit.finish(index)


def apply_records(edit: ImageEdit, records: Iterable[MetadataRecord], where: str) -> None:
    """Records into an image under change. Raises as `apply`, and the edit is of no use then.

    `where` is for the message: the entry or the snapshot that holds them.
    """
    for record in records:
        kind = check_known(record, where)
        try:
            _HANDLERS[kind](edit, getattr(record, kind))
        except DoesNotFitError as error:
            raise InconsistentMetadataError(f"{where}, {kind}: {error}") from None


def _no_op(edit: ImageEdit, record: NoOpRecord) -> None:
    """Nothing changes."""


def _cluster(edit: ImageEdit, record: ClusterRecord) -> None:
    if edit.cluster_id:
        raise DoesNotFitError(f"the cluster has an id already, {edit.cluster_id}")
    edit.cluster_id = record.cluster_id


def _feature_level(edit: ImageEdit, record: FeatureLevelRecord) -> None:
    check_feature_level(record.level)
    if record.level < edit.feature_level:
        raise DoesNotFitError(f"the feature level goes back from {edit.feature_level} to {record.level}")
    edit.feature_level = record.level


def _quorum(edit: ImageEdit, record: QuorumRecord) -> None:
    _check_level(edit, QUORUM_FEATURE_LEVEL, "a quorum")
    if record.cluster_epoch < max(edit.quorum.cluster_epoch if edit.quorum else 0, 1):
        raise DoesNotFitError(f"the cluster goes back to epoch {record.cluster_epoch}")
    ids = [member.coordinator_id for member in record.members]
    if ids != sorted(set(ids)) or not any(member.voter for member in record.members):
        raise DoesNotFitError(f"members {ids} are not by id, each once, with a voter among them")
    if any(len(member.directory_id) != ID_BYTES for member in record.members):
        raise DoesNotFitError(f"directory ids of members have {ID_BYTES} bytes")
    is_recovered = edit.quorum is not None and record.cluster_epoch > edit.quorum.cluster_epoch
    if is_recovered and edit.feature_level >= REPLICATION_FEATURE_LEVEL:
        edit.lift_epochs(LOST_EPOCHS)
    edit.quorum = QuorumRecord()
    edit.quorum.CopyFrom(record)


def _broker(edit: ImageEdit, record: BrokerRecord) -> None:
    """A new epoch starts fenced; the same epoch says anew what is usable and leaves the fence as it is."""
    known = edit.broker(record.broker_id)
    least = known.broker_epoch if known is not None else edit.removed_brokers.get(record.broker_id, 0) + 1
    if record.broker_epoch < least:
        raise DoesNotFitError(f"broker {record.broker_id} goes back to epoch {record.broker_epoch}")
    own = BrokerRecord()  # its own copy: a part of an entry would keep the whole entry in memory
    own.CopyFrom(record)
    is_new = known is None or known.broker_epoch < record.broker_epoch
    edit.set_broker(BrokerImage(own, fenced=is_new or (known is not None and known.fenced)))


def _broker_fenced(edit: ImageEdit, record: BrokerFencedRecord) -> None:
    known = edit.broker(record.broker_id)
    if known is None or known.broker_epoch != record.broker_epoch:
        raise DoesNotFitError(f"broker {record.broker_id} is not at epoch {record.broker_epoch}")
    edit.set_broker(known._replace(fenced=record.fenced))


def _topic(edit: ImageEdit, record: TopicRecord) -> None:
    edit.add_topic(TopicImage(record.topic_id, record.name))


def _topic_removed(edit: ImageEdit, record: TopicRemovedRecord) -> None:
    edit.remove_topic(record.topic_id)


def _broker_removed(edit: ImageEdit, record: BrokerRemovedRecord) -> None:
    _check_level(edit, REPLICATION_FEATURE_LEVEL, "a broker's removal")
    edit.remove_broker(record.broker_id)


def _partition(edit: ImageEdit, record: PartitionRecord) -> None:
    draft = edit.draft(record.topic_id)
    if record.partition != len(draft.partitions):
        raise DoesNotFitError(f"{draft.name} has {len(draft.partitions)} partitions, not {record.partition}")
    draft.put(_image(draft, record))


def _partition_placement(edit: ImageEdit, record: PartitionPlacementRecord) -> None:
    """All of a partition anew; its epochs say which partition it follows on."""
    _check_level(edit, REPLICATION_FEATURE_LEVEL, "a placement")
    draft = edit.draft(record.partition.topic_id)
    after = _image(draft, record.partition)
    before = _follows(draft, after.partition, after.leader_epoch, after.partition_epoch)
    if after.leader_epoch == before.leader_epoch and not set(before.replicas) <= set(after.replicas):
        raise DoesNotFitError(f"{draft.name}-{after.partition} loses a replica and keeps its leader epoch")
    draft.put(after)


def _image(draft: TopicDraft, record: PartitionRecord) -> PartitionImage:
    if len(record.replicas) != len(record.directory_ids):
        raise DoesNotFitError(f"not every replica of {draft.name}-{record.partition} has a directory")
    return PartitionImage(
        topic_id=draft.topic_id,
        partition=record.partition,
        replicas=_shared(tuple(record.replicas)),
        directory_ids=_shared(tuple(record.directory_ids)),
        isr=_shared(tuple(record.isr)),
        elr=_shared(tuple(record.elr)),
        leader=record.leader,
        leader_epoch=record.leader_epoch,
        partition_epoch=record.partition_epoch,
        adding_replicas=_shared(tuple(record.adding_replicas)),
        removing_replicas=_shared(tuple(record.removing_replicas)),
        last_members=_shared(tuple(record.last_members)),
    )


def _partition_change(edit: ImageEdit, record: PartitionChangeRecord) -> None:
    draft = edit.draft(record.topic_id)
    _stand(draft, record.partition, _standing(record), record.leader_epoch, record.partition_epoch)


def _partition_changes(edit: ImageEdit, record: PartitionChangesRecord) -> None:
    """Each partition as by a record of its own."""
    _check_level(edit, COMPACT_FEATURE_LEVEL, "a compact record")
    draft = edit.draft(record.topic_id)
    standings = [_standing(each) for each in record.standings]
    try:
        for number, at, leader_epoch, partition_epoch in zip(
            record.partitions,
            record.standing_indexes,
            record.leader_epochs,
            record.partition_epochs,
            strict=True,
        ):
            _stand(draft, number, standings[at], leader_epoch, partition_epoch)
    except (ValueError, IndexError):
        raise DoesNotFitError(f"the columns of changes to {draft.name} do not belong together") from None


def _standing(record: PartitionChangeRecord | PartitionStanding) -> Standing:
    isr, elr = _shared(tuple(record.isr)), _shared(tuple(record.elr))
    if isinstance(record, PartitionChangeRecord):
        return Standing(isr, elr, record.leader)
    return Standing(isr, elr, record.leader, _shared(tuple(record.last_members)))


def _stand(
    draft: TopicDraft, number: int, standing: Standing, leader_epoch: int, partition_epoch: int
) -> None:
    """Who leads the partition and who is in sync, from now on."""
    before = _follows(draft, number, leader_epoch, partition_epoch)
    isr, elr, leader, last_members = standing
    # The constructor takes a third of the time of _replace, and this is the hottest line when a broker dies.
    draft.put(
        PartitionImage(
            before.topic_id,
            number,
            before.replicas,
            before.directory_ids,
            isr,
            elr,
            leader,
            leader_epoch,
            partition_epoch,
            before.adding_replicas,
            before.removing_replicas,
            last_members,
        )
    )


def _follows(draft: TopicDraft, number: int, leader_epoch: int, partition_epoch: int) -> PartitionImage:
    """The partition as it is, if it can go to those epochs."""
    if number >= len(draft.partitions):
        raise DoesNotFitError(f"{draft.name} has no partition {number}")
    before = draft.partitions[number]
    if partition_epoch != before.partition_epoch + 1 or leader_epoch < before.leader_epoch:
        raise DoesNotFitError(
            f"{draft.name}-{number} at leader epoch {before.leader_epoch} and partition epoch "
            f"{before.partition_epoch} cannot go to {leader_epoch} and {partition_epoch}"
        )
    return before


def _setting(edit: ImageEdit, record: SettingRecord) -> None:
    edit.draft(record.topic_id).set(record.name, record.value if record.HasField("value") else None)


def _producer_ids(edit: ImageEdit, record: ProducerIdsRecord) -> None:
    if record.next_producer_id < edit.next_producer_id:
        raise DoesNotFitError(
            f"producer ids go back from {edit.next_producer_id} to {record.next_producer_id}"
        )
    edit.next_producer_id = record.next_producer_id


def _check_level(edit: ImageEdit, level: int, what: str) -> None:
    if edit.feature_level < level:
        raise DoesNotFitError(f"{what} at feature level {edit.feature_level}")


_HANDLERS: dict[str, Callable[[ImageEdit, Any], None]] = {
    "no_op": _no_op,
    "cluster": _cluster,
    "feature_level": _feature_level,
    "broker": _broker,
    "broker_fenced": _broker_fenced,
    "broker_removed": _broker_removed,
    "topic": _topic,
    "topic_removed": _topic_removed,
    "partition": _partition,
    "partition_placement": _partition_placement,
    "partition_change": _partition_change,
    "partition_changes": _partition_changes,
    "setting": _setting,
    "producer_ids": _producer_ids,
    "quorum": _quorum,
}


@lru_cache(maxsize=4096)
def _shared(value: tuple[T, ...]) -> tuple[T, ...]:
    """An equal tuple met before: replica and directory lists repeat over all partitions."""
    return value

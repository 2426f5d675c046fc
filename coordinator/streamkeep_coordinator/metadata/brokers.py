"""Commands on brokers in session: fencing, what they say of their directories, leaving, producer ids.

Each is compare-and-set on the broker epoch, so that a command about an earlier incarnation does nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from streamkeep_common.image import REPLICATION_FEATURE_LEVEL, ClusterImage
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.elections import NOBODY
from streamkeep_coordinator.metadata.find import current_broker
from streamkeep_coordinator.metadata.limits import PRODUCER_ID_BLOCK
from streamkeep_coordinator.metadata.settle import settle_replicas_of
from streamkeep_proto.v1.coordinator_pb2 import AllocateProducerIdsResponse
from streamkeep_proto.v1.metadata_pb2 import (
    BrokerFencedRecord,
    BrokerRecord,
    MetadataRecord,
    ProducerIdsRecord,
)


def fence_broker(image: ClusterImage, broker_id: int, broker_epoch: int) -> Decision[bool]:
    """The broker is gone: others lead. True if that is news."""
    return _set_fenced(image, broker_id, broker_epoch, fenced=True)


def unfence_broker(image: ClusterImage, broker_id: int, broker_epoch: int) -> Decision[bool]:
    """The broker has caught up with the metadata and may lead. True if that is news."""
    return _set_fenced(image, broker_id, broker_epoch, fenced=False)


def report_directories(
    image: ClusterImage,
    broker_id: int,
    broker_epoch: int,
    *,
    offline: Collection[bytes],
    stalled: Collection[bytes],
    full: Collection[bytes],
    leaving: Collection[int] = NOBODY,
) -> Decision[bool]:
    """How a broker's log directories are now, each list whole; their replicas lead and are in sync by that.

    One that failed stays away until the broker registers anew. True if anything is news. Below feature level
    3 nobody hears of stalled and full ones.
    """
    broker = current_broker(image, broker_id, broker_epoch)
    draft = Draft(image)
    registration = _with_directories(broker.registration, offline)
    if image.feature_level >= REPLICATION_FEATURE_LEVEL:
        present = registration.directory_ids
        registration.stalled_directory_ids.extend(each for each in present if each in stalled)
        registration.full_directory_ids.extend(each for each in present if each in full)
    if registration == broker.registration:
        return draft.decide(False)
    draft.write(MetadataRecord(broker=registration))
    draft.write(*settle_replicas_of(draft.image, broker_id, leaving=leaving))
    return draft.decide(True)


def release_replicas(
    image: ClusterImage, broker_id: int, broker_epoch: int, *, leaving: Collection[int] = NOBODY
) -> Decision[None]:
    """The broker wants to stop: whatever another replica can lead moves there, and nobody waits any more for
    it where others are in sync. `leaving` are all that want to stop now.
    """
    current_broker(image, broker_id, broker_epoch)
    draft = Draft(image)
    draft.write(*settle_replicas_of(image, broker_id, leaving={broker_id, *leaving}))
    return draft.decide(None)


def allocate_producer_ids(
    image: ClusterImage, broker_id: int, broker_epoch: int
) -> Decision[AllocateProducerIdsResponse]:
    """A block of producer ids that nobody else gets."""
    current_broker(image, broker_id, broker_epoch)
    first = image.next_producer_id
    draft = Draft(image)
    draft.write(MetadataRecord(producer_ids=ProducerIdsRecord(next_producer_id=first + PRODUCER_ID_BLOCK)))
    return draft.decide(AllocateProducerIdsResponse(first_producer_id=first, count=PRODUCER_ID_BLOCK))


def _set_fenced(image: ClusterImage, broker_id: int, broker_epoch: int, *, fenced: bool) -> Decision[bool]:
    broker = image.brokers.get(broker_id)
    draft = Draft(image)
    if broker is None or broker.broker_epoch != broker_epoch or broker.fenced == fenced:
        return draft.decide(False)
    record = BrokerFencedRecord(broker_id=broker_id, broker_epoch=broker_epoch, fenced=fenced)
    draft.write(MetadataRecord(broker_fenced=record))
    draft.write(*settle_replicas_of(draft.image, broker_id))
    return draft.decide(True)


def _with_directories(registration: BrokerRecord, offline: Collection[bytes]) -> BrokerRecord:
    """The registration with the directories that are left, none of them stalled or full."""
    changed = BrokerRecord()
    changed.CopyFrom(registration)
    left = [each for each in registration.directory_ids if each not in offline]
    for ids in (changed.directory_ids, changed.stalled_directory_ids, changed.full_directory_ids):
        del ids[:]
    changed.directory_ids.extend(left)
    return changed

"""Commands on brokers: registration, fencing, failed directories, leaving, producer ids.

Each is compare-and-set on the broker epoch, so that a command about an earlier incarnation does nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from streamkeep_common.errors import (
    ClusterMismatchError,
    InvalidRequestError,
    StaleBrokerEpochError,
    UnknownBrokerError,
    UnsupportedFeatureError,
)
from streamkeep_common.image import BrokerImage, ClusterImage
from streamkeep_common.limits import ID_BYTES
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.limits import (
    MAX_BROKERS,
    MAX_DIRECTORIES_PER_BROKER,
    MAX_TEXT,
    PRODUCER_ID_BLOCK,
)
from streamkeep_coordinator.metadata.settle import settle_replicas_of
from streamkeep_proto.v1.coordinator_pb2 import AllocateProducerIdsResponse, RegisterBroker
from streamkeep_proto.v1.metadata_pb2 import (
    BrokerFencedRecord,
    BrokerRecord,
    MetadataRecord,
    ProducerIdsRecord,
)


def register_broker(image: ClusterImage, request: RegisterBroker) -> Decision[int]:
    """A broker's epoch. A new incarnation starts fenced and takes all leaders from the one before.

    The same incarnation keeps its epoch, and its fence as it is. The caller has made sure that no other
    incarnation is alive.
    """
    _check(image, request)
    known = image.brokers.get(request.broker_id)
    epoch = _next_epoch(known, request.incarnation_id)
    registration = BrokerRecord(
        broker_id=request.broker_id,
        broker_epoch=epoch,
        incarnation_id=request.incarnation_id,
        address=request.address,
        rack=request.rack,
        directory_ids=request.directory_ids,
        boot_id=request.boot_id,
        min_feature_level=request.min_feature_level,
        max_feature_level=request.max_feature_level,
        clean_start=request.clean_start,
    )
    draft = Draft(image)
    if known is None or known.registration != registration:
        draft.write(MetadataRecord(broker=registration))
        draft.write(*settle_replicas_of(draft.image, request.broker_id))
    return draft.decide(epoch)


def fence_broker(image: ClusterImage, broker_id: int, broker_epoch: int) -> Decision[bool]:
    """The broker is gone: others lead. True if that is news."""
    return _set_fenced(image, broker_id, broker_epoch, fenced=True)


def unfence_broker(image: ClusterImage, broker_id: int, broker_epoch: int) -> Decision[bool]:
    """The broker has caught up with the metadata and may lead. True if that is news."""
    return _set_fenced(image, broker_id, broker_epoch, fenced=False)


def fail_directories(
    image: ClusterImage, broker_id: int, broker_epoch: int, directory_ids: Collection[bytes]
) -> Decision[bool]:
    """Log directories that failed since registration; their replicas leave. True if that is news."""
    broker = current_broker(image, broker_id, broker_epoch)
    left = [each for each in broker.registration.directory_ids if each not in directory_ids]
    draft = Draft(image)
    if len(left) == len(broker.registration.directory_ids):
        return draft.decide(False)
    registration = BrokerRecord()
    registration.CopyFrom(broker.registration)
    del registration.directory_ids[:]
    registration.directory_ids.extend(left)
    draft.write(MetadataRecord(broker=registration))
    draft.write(*settle_replicas_of(draft.image, broker_id))
    return draft.decide(True)


def release_leaders(image: ClusterImage, broker_id: int, broker_epoch: int) -> Decision[None]:
    """The broker wants to stop: whatever another replica can lead moves there."""
    current_broker(image, broker_id, broker_epoch)
    draft = Draft(image)
    draft.write(*settle_replicas_of(image, broker_id, leaving=broker_id))
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


def current_broker(image: ClusterImage, broker_id: int, broker_epoch: int) -> BrokerImage:
    """The broker, if that is its epoch. UnknownBrokerError, StaleBrokerEpochError."""
    broker = image.brokers.get(broker_id)
    if broker is None:
        raise UnknownBrokerError(f"broker {broker_id} has never registered")
    if broker.broker_epoch != broker_epoch:
        raise StaleBrokerEpochError(
            f"broker {broker_id} is at epoch {broker.broker_epoch}, not {broker_epoch}"
        )
    return broker


def _set_fenced(image: ClusterImage, broker_id: int, broker_epoch: int, *, fenced: bool) -> Decision[bool]:
    broker = image.brokers.get(broker_id)
    draft = Draft(image)
    if broker is None or broker.broker_epoch != broker_epoch or broker.fenced == fenced:
        return draft.decide(False)
    record = BrokerFencedRecord(broker_id=broker_id, broker_epoch=broker_epoch, fenced=fenced)
    draft.write(MetadataRecord(broker_fenced=record))
    draft.write(*settle_replicas_of(draft.image, broker_id))
    return draft.decide(True)


def _next_epoch(known: BrokerImage | None, incarnation_id: bytes) -> int:
    if known is None:
        return 1
    return known.broker_epoch + (known.registration.incarnation_id != incarnation_id)


def _check(image: ClusterImage, request: RegisterBroker) -> None:
    _check_form(request)
    if request.cluster_id and request.cluster_id != image.cluster_id:
        raise ClusterMismatchError(
            f"the directories of broker {request.broker_id} belong to cluster "
            f"{request.cluster_id[:MAX_TEXT]}, and this is cluster {image.cluster_id}"
        )
    if not request.min_feature_level <= image.feature_level <= request.max_feature_level:
        raise UnsupportedFeatureError(
            f"the cluster works at feature level {image.feature_level}, and broker {request.broker_id} "
            f"supports {request.min_feature_level} to {request.max_feature_level}"
        )
    if request.broker_id not in image.brokers and len(image.brokers) >= MAX_BROKERS:
        raise InvalidRequestError(f"the cluster has {MAX_BROKERS} brokers, the most that it can have")


def _check_form(request: RegisterBroker) -> None:
    if request.broker_id < 1:
        raise InvalidRequestError(f"broker ids start at 1, not {request.broker_id}")
    if len(request.incarnation_id) != ID_BYTES:
        raise InvalidRequestError(f"incarnation_id has {len(request.incarnation_id)} bytes, not {ID_BYTES}")
    if not request.address or max(map(len, (request.address, request.rack, request.boot_id))) > MAX_TEXT:
        raise InvalidRequestError(
            f"address must be given; address, rack and boot_id take {MAX_TEXT} characters"
        )
    directories = list(request.directory_ids)
    if not 1 <= len(directories) <= MAX_DIRECTORIES_PER_BROKER or len(set(directories)) != len(directories):
        raise InvalidRequestError(
            f"1 to {MAX_DIRECTORIES_PER_BROKER} directory ids, all different, are needed"
        )
    if any(len(directory_id) != ID_BYTES for directory_id in directories):
        raise InvalidRequestError(f"directory ids have {ID_BYTES} bytes")

"""Brokers that register: who may, at which epoch, and what that does to the replicas that they had."""

from __future__ import annotations

from streamkeep_common.errors import ClusterMismatchError, InvalidRequestError, UnsupportedFeatureError
from streamkeep_common.image import BrokerImage, ClusterImage
from streamkeep_common.limits import ID_BYTES
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.limits import MAX_BROKERS, MAX_DIRECTORIES_PER_BROKER, MAX_TEXT
from streamkeep_coordinator.metadata.settle import settle_replicas_of
from streamkeep_proto.v1.coordinator_pb2 import RegisterBroker
from streamkeep_proto.v1.metadata_pb2 import BrokerRecord, MetadataRecord


def register_broker(image: ClusterImage, request: RegisterBroker) -> Decision[int]:
    """A broker's epoch. A new incarnation starts fenced and takes all leaders from the one before.

    The same incarnation keeps its epoch, and its fence as it is. The caller has made sure that no other
    incarnation is alive. Replicas whose directory is not there any more leave the in-sync and the eligible
    ones; so do those of topics that are not flushed, if the machine has crashed.
    """
    _check(image, request)
    known = image.brokers.get(request.broker_id)
    is_same = known is not None and known.registration.incarnation_id == request.incarnation_id
    last_epoch = known.broker_epoch if known else image.removed_brokers.get(request.broker_id, 0)
    registration = _registration(request, known, broker_epoch=last_epoch + (not is_same))
    draft = Draft(image)
    if known is None or known.registration != registration:
        draft.write(MetadataRecord(broker=registration))
        rebooted = known is not None and not is_same and _may_have_crashed(known, request)
        draft.write(*settle_replicas_of(draft.image, request.broker_id, rebooted=rebooted))
    return draft.decide(registration.broker_epoch)


def _registration(request: RegisterBroker, known: BrokerImage | None, *, broker_epoch: int) -> BrokerRecord:
    registration = BrokerRecord(
        broker_id=request.broker_id,
        broker_epoch=broker_epoch,
        incarnation_id=request.incarnation_id,
        address=request.address,
        rack=request.rack,
        directory_ids=request.directory_ids,
        boot_id=request.boot_id,
        min_feature_level=request.min_feature_level,
        max_feature_level=request.max_feature_level,
        clean_start=request.clean_start,
    )
    if known is not None:
        registration.draining = known.draining
    if known is not None and known.broker_epoch == broker_epoch:
        present = registration.directory_ids
        registration.stalled_directory_ids.extend(each for each in present if known.is_stalled(each))
        registration.full_directory_ids.extend(each for each in present if known.is_full(each))
    return registration


def _may_have_crashed(known: BrokerImage, request: RegisterBroker) -> bool:
    """Its machine may have lost what was written and not flushed: the process was not stopped in order, and
    the operating system is not known to have run on since.
    """
    has_run_on = bool(request.boot_id) and request.boot_id == known.registration.boot_id
    return not request.clean_start and not has_run_on


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

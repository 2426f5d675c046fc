"""Brokers on their way out: drained, so that they get no new replicas, and forgotten once they are empty."""

from __future__ import annotations

from streamkeep_common.errors import BrokerNotEmptyError, UnknownBrokerError
from streamkeep_common.image import BrokerImage, ClusterImage
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.upgrade import check_replication
from streamkeep_proto.v1.coordinator_pb2 import (
    DrainBrokerRequest,
    DrainBrokerResponse,
    RemoveBrokerRequest,
    RemoveBrokerResponse,
)
from streamkeep_proto.v1.metadata_pb2 import BrokerRecord, BrokerRemovedRecord, MetadataRecord


def drain_broker(image: ClusterImage, request: DrainBrokerRequest) -> Decision[DrainBrokerResponse]:
    """The broker gets no new replicas, or may again. What it has stays: moving that away is a plan's.

    The registration stays the same one; that it is drained outlives later ones. UnknownBrokerError,
    UnsupportedFeatureError.
    """
    broker = _known(image, request.broker_id)
    draft = Draft(image)
    if broker.draining != request.draining:
        registration = BrokerRecord()
        registration.CopyFrom(broker.registration)
        registration.draining = request.draining
        draft.write(MetadataRecord(broker=registration))
    answer = DrainBrokerResponse(replicas=image.replica_counts.get(request.broker_id, 0))
    return draft.decide(answer, validate_only=request.validate_only)


def remove_broker(image: ClusterImage, request: RemoveBrokerRequest) -> Decision[RemoveBrokerResponse]:
    """The broker is forgotten. Its id may be used again, by another one.

    BrokerNotEmptyError if it lives or has replicas; UnknownBrokerError, UnsupportedFeatureError.
    """
    broker = _known(image, request.broker_id)
    replicas = image.replica_counts.get(request.broker_id, 0)
    if replicas:
        raise BrokerNotEmptyError(f"broker {request.broker_id} has {replicas} replicas")
    if not broker.fenced:
        raise BrokerNotEmptyError(f"broker {request.broker_id} is alive")
    draft = Draft(image)
    draft.write(MetadataRecord(broker_removed=BrokerRemovedRecord(broker_id=request.broker_id)))
    return draft.decide(RemoveBrokerResponse(), validate_only=request.validate_only)


def _known(image: ClusterImage, broker_id: int) -> BrokerImage:
    check_replication(image)
    broker = image.brokers.get(broker_id)
    if broker is None:
        raise UnknownBrokerError(f"there is no broker {broker_id}")
    return broker

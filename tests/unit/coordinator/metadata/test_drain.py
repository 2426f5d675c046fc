"""Brokers on their way out."""

from __future__ import annotations

import pytest

from streamkeep_common.errors import BrokerNotEmptyError, UnknownBrokerError, UnsupportedFeatureError
from streamkeep_common.image import ClusterImage, SnapshotBuilder, to_records
from streamkeep_coordinator.metadata.drain import drain_broker, remove_broker
from streamkeep_coordinator.metadata.registration import register_broker
from streamkeep_proto.v1.coordinator_pb2 import DrainBrokerRequest, RegisterBroker, RemoveBrokerRequest
from tests.unit.coordinator.metadata.layout import Layout


def test_a_drained_broker_keeps_its_epoch_its_fence_and_its_replicas() -> None:
    cluster = Layout(2)
    cluster.topic("t", [1, 2])
    answer = cluster.commit(drain_broker(cluster.image, DrainBrokerRequest(broker_id=1, draining=True)))
    broker = cluster.image.brokers[1]
    assert answer.replicas == 1
    assert (broker.draining, broker.broker_epoch, broker.fenced) == (True, 1, False)
    assert cluster.partition().leader == 1


def test_a_drained_broker_gets_no_new_replicas_until_that_is_taken_back() -> None:
    cluster = Layout(2)
    cluster.topic("t", [2])
    cluster.commit(drain_broker(cluster.image, DrainBrokerRequest(broker_id=1, draining=True)))
    (refused,) = cluster.resize(2)
    assert refused.HasField("error")
    cluster.commit(drain_broker(cluster.image, DrainBrokerRequest(broker_id=1)))
    (outcome,) = cluster.resize(2)
    assert list(outcome.to_replicas) == [2, 1]


def test_to_drain_a_drained_broker_is_no_change() -> None:
    cluster = Layout(1)
    request = DrainBrokerRequest(broker_id=1, draining=True)
    assert not drain_broker(cluster.image, DrainBrokerRequest(broker_id=1)).records
    assert not drain_broker(
        cluster.image, DrainBrokerRequest(broker_id=1, draining=True, validate_only=True)
    ).records
    cluster.commit(drain_broker(cluster.image, request))
    assert not drain_broker(cluster.image, request).records


def test_only_an_empty_dead_broker_is_forgotten() -> None:
    cluster = Layout(3)
    cluster.topic("t", [1])
    for broker_id, why in ((1, "has 1 replicas"), (2, "is alive")):
        with pytest.raises(BrokerNotEmptyError, match=why):
            remove_broker(cluster.image, RemoveBrokerRequest(broker_id=broker_id))
    cluster.fence(2)
    cluster.commit(remove_broker(cluster.image, RemoveBrokerRequest(broker_id=2, validate_only=True)))
    assert 2 in cluster.image.brokers
    cluster.commit(remove_broker(cluster.image, RemoveBrokerRequest(broker_id=2)))
    assert list(cluster.image.brokers) == [1, 3]


def test_a_broker_that_is_not_known_is_neither_drained_nor_removed() -> None:
    cluster = Layout(1)
    with pytest.raises(UnknownBrokerError):
        drain_broker(cluster.image, DrainBrokerRequest(broker_id=2, draining=True))
    with pytest.raises(UnknownBrokerError):
        remove_broker(cluster.image, RemoveBrokerRequest(broker_id=2))


def test_brokers_are_drained_and_removed_from_the_level_of_replication_on() -> None:
    image = ClusterImage(feature_level=2)
    with pytest.raises(UnsupportedFeatureError):
        drain_broker(image, DrainBrokerRequest(broker_id=1, draining=True))
    with pytest.raises(UnsupportedFeatureError):
        remove_broker(image, RemoveBrokerRequest(broker_id=1))


def test_who_takes_the_id_of_a_forgotten_broker_has_an_epoch_that_nobody_had() -> None:
    """Else what the old one, stopped and not dead, still acknowledges would count for the new one."""
    cluster = Layout(2)
    cluster.fence(2)
    cluster.commit(remove_broker(cluster.image, RemoveBrokerRequest(broker_id=2)))
    request = RegisterBroker(
        broker_id=2,
        incarnation_id=b"n" * 16,
        address="new:7201",
        directory_ids=[b"d" * 16],
        min_feature_level=3,
        max_feature_level=3,
    )
    restored = rebuilt(cluster.image)
    assert register_broker(restored, request).answer == 2
    assert cluster.commit(register_broker(cluster.image, request)) == 2
    assert rebuilt(cluster.image) == cluster.image


def rebuilt(image: ClusterImage) -> ClusterImage:
    """From a snapshot."""
    builder = SnapshotBuilder()
    builder.add(list(to_records(image)))
    return builder.finish(image.index)

from __future__ import annotations

import random
from collections import Counter

import pytest

from streamkeep_common.errors import InvalidReplicationFactorError
from streamkeep_common.image import ClusterImage, apply
from streamkeep_coordinator.metadata.placement import Placed, Placement
from streamkeep_proto.v1.metadata_pb2 import (
    BrokerFencedRecord,
    BrokerRecord,
    MetadataRecord,
    PartitionRecord,
    TopicRecord,
)


def cluster(*racks: str, directories: int = 1, fenced: tuple[int, ...] = ()) -> ClusterImage:
    """Brokers 1, 2, ... in these racks."""
    records = []
    for broker_id, rack in enumerate(racks, start=1):
        registration = BrokerRecord(
            broker_id=broker_id,
            broker_epoch=1,
            rack=rack,
            directory_ids=[bytes([broker_id, number]) * 8 for number in range(directories)],
        )
        records.append(MetadataRecord(broker=registration))
        if broker_id not in fenced:
            unfenced = BrokerFencedRecord(broker_id=broker_id, broker_epoch=1)
            records.append(MetadataRecord(broker_fenced=unfenced))
    return apply(ClusterImage(), records, 1)[0]


def place(image: ClusterImage, partitions: int, replicas: int) -> list[Placed]:
    placement = Placement(image)
    return [placement.place(replicas) for _ in range(partitions)]


def with_topic(image: ClusterImage, placed: list[Placed]) -> ClusterImage:
    topic_id = image.index.to_bytes(16, "big")
    records = [MetadataRecord(topic=TopicRecord(topic_id=topic_id, name=f"t{image.index}"))]
    for number, (replicas, directory_ids) in enumerate(placed):
        partition = PartitionRecord(
            topic_id=topic_id,
            partition=number,
            replicas=replicas,
            directory_ids=directory_ids,
            isr=replicas,
            leader=replicas[0],
            leader_epoch=1,
            partition_epoch=1,
        )
        records.append(MetadataRecord(partition=partition))
    return apply(image, records, image.index + 1)[0]


@pytest.mark.parametrize(
    ("brokers", "partitions", "replicas"), [(3, 6, 1), (3, 7, 3), (5, 20, 3), (4, 10, 2), (6, 60, 3)]
)
def test_leaders_and_replicas_are_spread_evenly(brokers: int, partitions: int, replicas: int) -> None:
    placed = place(cluster(*[""] * brokers), partitions, replicas)
    leaders = Counter(each.replicas[0] for each in placed)
    members = Counter(member for each in placed for member in each.replicas)
    assert max(leaders.values()) - min(leaders.values()) <= 1
    assert max(members.values()) - min(members.values()) <= replicas
    assert all(len(set(each.replicas)) == replicas for each in placed)


def greedily(racks: list[str], partitions: int, replicas: int) -> list[tuple[int, ...]]:
    """The rule as it is told, looking at every broker every time."""
    leads, holds = Counter[int](), Counter[int]()
    placed = []
    for _ in range(partitions):
        chosen = [min(range(1, len(racks) + 1), key=lambda each: (leads[each], holds[each], each))]
        while len(chosen) < replicas:
            taken = {racks[each - 1] for each in chosen} - {""}
            rest = [each for each in range(1, len(racks) + 1) if each not in chosen]
            chosen.append(min(rest, key=lambda each: (racks[each - 1] in taken, holds[each], each)))
        leads[chosen[0]] += 1
        holds.update(chosen)
        placed.append(tuple(chosen))
    return placed


@pytest.mark.parametrize("seed", range(8))
def test_each_replica_goes_to_the_broker_with_the_least(seed: int) -> None:
    rng = random.Random(seed)
    racks = rng.choices(["", "a", "b", "c"], k=rng.randint(4, 30))
    placed = place(cluster(*racks), 60, 4)
    assert [each.replicas[0] for each in placed] == [replicas[0] for replicas in greedily(racks, 60, 4)]
    assert [set(each.replicas) for each in placed] == [set(each) for each in greedily(racks, 60, 4)]


def test_what_one_broker_leads_goes_to_many_when_it_dies() -> None:
    placed = place(cluster("", "", ""), 12, 3)
    heirs = Counter(each.replicas[:2] for each in placed)
    assert set(heirs.values()) == {2}
    assert len(heirs) == 6


def test_replicas_are_in_different_racks_as_far_as_there_are_racks() -> None:
    racks = {1: "a", 2: "a", 3: "b", 4: "b", 5: "c", 6: "c"}
    for each in place(cluster(*racks.values()), 30, 3):
        assert len({racks[member] for member in each.replicas}) == 3
    for each in place(cluster("a", "a", "b"), 30, 3):
        assert len(set(each.replicas)) == 3


def test_topics_of_one_partition_are_spread_over_the_cluster() -> None:
    image = cluster("", "", "")
    for _ in range(9):
        image = with_topic(image, place(image, 1, 1))
    assert image.leader_counts == {1: 3, 2: 3, 3: 3}


def test_a_replica_goes_to_the_directory_with_the_fewest() -> None:
    image = cluster("", directories=3)
    placed = place(image, 7, 1)
    assert sorted(Counter(each.directory_ids[0] for each in placed).values()) == [2, 2, 3]
    image = with_topic(image, placed)
    image = with_topic(image, place(image, 2, 1))
    assert sorted(image.directory_counts.values()) == [3, 3, 3]


def test_new_partitions_of_a_topic_continue_its_spread() -> None:
    image = with_topic(cluster("", "", ""), place(cluster("", "", ""), 2, 1))
    topic = next(iter(image.topics.values()))
    assert Placement(image, topic.partitions).place(1).replicas == (3,)


def test_a_fenced_broker_gets_nothing() -> None:
    placed = place(cluster("", "", "", fenced=(2,)), 6, 2)
    assert {member for each in placed for member in each.replicas} == {1, 3}


@pytest.mark.parametrize("replicas", [0, 3])
def test_more_replicas_than_live_brokers_are_refused(replicas: int) -> None:
    with pytest.raises(InvalidReplicationFactorError, match="there are 2"):
        place(cluster("", "", "", fenced=(1,)), 1, replicas)


def test_only_brokers_that_can_take_a_replica_get_one() -> None:
    image = cluster("", "", "", "", directories=2)
    stalled, full, draining = (BrokerRecord() for _ in range(3))
    for record, broker_id in ((stalled, 1), (full, 2), (draining, 3)):
        record.CopyFrom(image.brokers[broker_id].registration)
    stalled.stalled_directory_ids.append(stalled.directory_ids[0])
    full.full_directory_ids.extend(full.directory_ids)
    draining.draining = True
    records = [MetadataRecord(broker=each) for each in (stalled, full, draining)]
    image, _ = apply(image, records, image.index + 1)

    placed = place(image, 6, 2)

    assert {member for each in placed for member in each.replicas} == {1, 4}
    used = {directory_id for each in placed for directory_id in each.directory_ids}
    assert used == {stalled.directory_ids[1], *image.brokers[4].directory_ids}


@pytest.mark.parametrize("racks", [[""] * 3, [""] * 7, ["a", "b", "c"], ["a", "a", "b", "b", "c", "c"]])
def test_many_topics_of_three_replicas_leave_leaders_and_replicas_level(racks: list[str]) -> None:
    image = cluster(*racks, directories=2)
    for partitions in (6, 1, 12, 3, 6, 1, 5):
        image = with_topic(image, place(image, partitions, 3))
    assert max(image.leader_counts.values()) - min(image.leader_counts.values()) <= 1
    assert max(image.replica_counts.values()) - min(image.replica_counts.values()) <= 3
    counts = image.directory_counts.values()
    assert max(counts) - min(counts) <= 3

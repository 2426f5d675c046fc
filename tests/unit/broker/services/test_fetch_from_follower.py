"""Reading from the replica in the reader's rack (KIP-392): whom a leader names, what a follower serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from streamkeep_broker.replication.near_replicas import near_replica
from streamkeep_common.image import BrokerImage, ClusterImage
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.broker_pb2 import FetchedPartition
from streamkeep_proto.v1.metadata_pb2 import BrokerRecord
from tests.unit.broker.clients import Fetcher, Producer, item, make_batch
from tests.unit.broker.cluster import TOPIC, Cluster, Node, replicated
from tests.unit.broker.replication.led import image as partition_image

RACKS = ("north", "east", "east")
LEADER, FOLLOWER, OTHER = 1, 2, 3


def cluster_image(racks: Mapping[int, str], *, fenced: Sequence[int] = ()) -> ClusterImage:
    return ClusterImage(
        brokers={
            broker_id: BrokerImage(
                BrokerRecord(broker_id=broker_id, address=f"broker{broker_id}:7201", rack=rack),
                broker_id in fenced,
            )
            for broker_id, rack in racks.items()
        }
    )


@pytest.mark.parametrize(
    ("rack", "isr", "fenced", "named"),
    [
        ("east", (1, 2, 3), (), 2),
        ("east", (3, 2, 1), (), 2),
        ("east", (1, 3), (), 3),
        ("east", (1, 2, 3), (2,), 3),
        ("east", (1,), (), None),
        ("east", (1, 2, 3), (2, 3), None),
        ("north", (1, 2, 3), (), None),
        ("south", (1, 2, 3), (), None),
        ("", (1, 2, 3), (), None),
    ],
)
def test_the_lowest_replica_of_the_rack_that_is_in_sync_and_not_fenced_is_named(
    rack: str, isr: tuple[int, ...], fenced: tuple[int, ...], named: int | None
) -> None:
    image = cluster_image({1: "north", 2: "east", 3: "east"}, fenced=fenced)
    hint = near_replica(image, partition_image(isr=isr, leader_epoch=7), rack)
    assert (hint and hint.broker_id) == named
    if hint is not None:
        assert (hint.address, hint.leader_epoch) == (f"broker{named}:7201", 7)


def test_a_leader_in_the_readers_rack_names_nobody_else_there() -> None:
    image = cluster_image({1: "east", 2: "east", 3: "east"})
    assert near_replica(image, partition_image(), "east") is None


def reader_of(cluster: Cluster, broker_id: int) -> Fetcher:
    return Fetcher(cluster.channel(cluster.nodes[broker_id]))


def out_of(node: Node) -> float:
    return node.metric("follower_fetched_bytes_total")


@replicated
async def test_a_reader_is_sent_to_its_rack_and_gets_everything_there(cluster: Cluster) -> None:
    await cluster.start(racks=RACKS)
    await cluster.produce(b"a", b"b")
    leader = reader_of(cluster, LEADER)
    await leader.start(TOPIC, rack="east")
    named = await leader.until_sent_away()
    assert named.broker_id == FOLLOWER
    assert leader.values() == [], "the subscription has ended"
    follower = reader_of(cluster, FOLLOWER)
    await follower.start(TOPIC, leader_epoch=named.leader_epoch, from_follower=True)
    assert await follower.until_values(2) == [b"a", b"b"]
    await cluster.produce(b"c")
    assert await follower.until_values(3) == [b"a", b"b", b"c"]
    assert {partition.leader_epoch for partition in follower.partitions} == {cluster.image.leader_epoch}
    served = out_of(cluster.nodes[FOLLOWER])
    assert served == cluster.nodes[FOLLOWER].metric("fetched_bytes_total") > 0
    assert out_of(cluster.nodes[LEADER]) == 0


@replicated
async def test_a_reader_of_the_leaders_rack_or_of_none_is_served_by_the_leader(cluster: Cluster) -> None:
    await cluster.start(racks=RACKS)
    await cluster.produce(b"a")
    for subscription, rack in enumerate(("north", "", "nowhere"), 1):
        reader = reader_of(cluster, LEADER)
        await reader.start(TOPIC, subscription=subscription, rack=rack)
        assert await reader.until_values(1, subscription=subscription) == [b"a"]


@replicated
async def test_a_leader_checks_where_the_reader_stands_before_it_sends_it_away(cluster: Cluster) -> None:
    await cluster.start(racks=RACKS)
    reader = reader_of(cluster, LEADER)
    await reader.start(TOPIC, offset=9, rack="east")
    assert (await reader.until_error()).error.code == errors_pb2.OFFSET_OUT_OF_RANGE


@replicated
async def test_a_follower_serves_nobody_whom_no_leader_has_sent(cluster: Cluster) -> None:
    await cluster.start(racks=RACKS)
    reader = reader_of(cluster, FOLLOWER)
    await reader.start(TOPIC)
    ended = await reader.until_error()
    assert (ended.error.code, ended.error.leader.broker_id) == (errors_pb2.NOT_LEADER, LEADER)


@replicated
async def test_who_is_sent_to_a_replica_that_leads_by_now_is_served_by_it(cluster: Cluster) -> None:
    await cluster.start(racks=RACKS)
    await cluster.produce(b"a")
    reader = reader_of(cluster, LEADER)
    await reader.start(TOPIC, from_follower=True)
    assert await reader.until_values(1) == [b"a"]
    assert out_of(cluster.nodes[LEADER]) == 0


@replicated
async def test_a_follower_checks_epoch_and_position_as_a_leader_does(cluster: Cluster) -> None:
    await cluster.start(racks=RACKS)
    await cluster.produce(b"a")
    cluster.coordinator.stand(cluster.image, leader_epoch=5)
    await cluster.until(lambda: cluster.nodes[FOLLOWER].partition.leader_epoch == 5)
    reader = reader_of(cluster, FOLLOWER)
    await reader.start(TOPIC, subscription=1, leader_epoch=1, from_follower=True)
    await reader.start(TOPIC, subscription=2, leader_epoch=6, from_follower=True)
    await reader.start(TOPIC, subscription=3, last_read_epoch=6, from_follower=True)
    await reader.start(TOPIC, subscription=4, offset=2, from_follower=True)
    codes = [(await reader.until_error(subscription=number)).error.code for number in range(1, 5)]
    assert codes == [
        errors_pb2.FENCED_LEADER_EPOCH,
        errors_pb2.UNKNOWN_LEADER_EPOCH,
        errors_pb2.UNKNOWN_LEADER_EPOCH,
        errors_pb2.OFFSET_OUT_OF_RANGE,
    ]


@replicated
async def test_a_follower_without_records_serves_who_has_read_others_before(cluster: Cluster) -> None:
    await cluster.start(racks=RACKS)
    reader = reader_of(cluster, FOLLOWER)
    await reader.start(TOPIC, last_read_epoch=1, from_follower=True)
    await cluster.produce(b"a")
    assert await reader.until_values(1) == [b"a"]


@replicated
async def test_a_follower_shows_nothing_above_its_own_high_watermark(cluster: Cluster) -> None:
    """It has the record, and whoever stands behind its watermark waits there for it."""
    await cluster.start(racks=RACKS)
    await cluster.produce(b"a")
    cluster.nodes[OTHER].machine.workers.stall()
    await Producer(cluster.channel(cluster.nodes[LEADER])).send(item(TOPIC, make_batch([b"b"], sequence=1)))
    follower = cluster.nodes[FOLLOWER].partition
    await cluster.until(lambda: follower.log.flushed_end_offset == 2)
    reader = reader_of(cluster, FOLLOWER)
    await reader.start(TOPIC, subscription=1, from_follower=True)
    await reader.start(TOPIC, subscription=2, offset=2, from_follower=True)
    await reader.until_values(1)
    for _ in range(3):
        await reader.receive()
    assert reader.values() == [b"a"] and follower.high_watermark == 1
    assert not any(partition.HasField("error") for partition in reader.partitions)
    cluster.nodes[OTHER].machine.workers.resume()
    assert await reader.until_values(2) == [b"a", b"b"]
    await Producer(cluster.channel(cluster.nodes[LEADER])).produce(
        item(TOPIC, make_batch([b"c"], sequence=2))
    )
    assert await reader.until_values(1, subscription=2) == [b"c"]


async def _reading(cluster: Cluster) -> Fetcher:
    """Somebody who reads from the follower, and has all that there is."""
    await cluster.start(racks=RACKS)
    await cluster.produce(b"a")
    reader = reader_of(cluster, FOLLOWER)
    await reader.start(TOPIC, from_follower=True)
    await reader.until_values(1)
    return reader


async def _ended(reader: Fetcher, *, leader: int) -> FetchedPartition:
    ended = await reader.until_error()
    assert (ended.error.code, ended.error.leader.broker_id) == (errors_pb2.NOT_LEADER, leader)
    return ended


@replicated
async def test_a_follower_that_leaves_the_in_sync_set_sends_its_readers_back(cluster: Cluster) -> None:
    reader = await _reading(cluster)
    cluster.coordinator.refused = {FOLLOWER: None}
    cluster.coordinator.stand(cluster.image, isr=(LEADER, OTHER))
    await _ended(reader, leader=LEADER)
    late = reader_of(cluster, FOLLOWER)
    await late.start(TOPIC, from_follower=True)
    await _ended(late, leader=LEADER)


@replicated
async def test_a_follower_that_is_fenced_sends_its_readers_back(cluster: Cluster) -> None:
    reader = await _reading(cluster)
    cluster.coordinator.elects = False
    cluster.coordinator.fence(FOLLOWER)
    await _ended(reader, leader=LEADER)
    cluster.coordinator.unfence(FOLLOWER)
    again = reader_of(cluster, FOLLOWER)
    await cluster.until(lambda: not cluster.nodes[FOLLOWER].broker.watch.image.brokers[FOLLOWER].fenced)
    await again.start(TOPIC, from_follower=True)
    assert await again.until_values(1) == [b"a"], "it had stayed in sync"


@replicated
async def test_readers_of_a_follower_hear_of_another_leader_or_epoch(cluster: Cluster) -> None:
    reader = await _reading(cluster)
    cluster.coordinator.stand(cluster.image, leader=OTHER)
    ended = await _ended(reader, leader=OTHER)
    assert ended.error.leader.leader_epoch == cluster.image.leader_epoch


@replicated
async def test_readers_of_a_follower_that_becomes_the_leader_start_anew(cluster: Cluster) -> None:
    reader = await _reading(cluster)
    cluster.coordinator.stand(cluster.image, leader=FOLLOWER)
    await _ended(reader, leader=FOLLOWER)


@replicated
async def test_readers_of_a_follower_without_a_leader_are_told(cluster: Cluster) -> None:
    reader = await _reading(cluster)
    cluster.coordinator.elects = False
    cluster.coordinator.stand(cluster.image, leader=0)
    await _ended(reader, leader=0)


@replicated
async def test_a_leader_sends_its_reader_away_as_soon_as_a_near_replica_is_in_sync(cluster: Cluster) -> None:
    await cluster.start(racks=("north", "east", "south"))
    await cluster.produce(b"a")
    cluster.coordinator.refused = {FOLLOWER: None}
    cluster.coordinator.stand(cluster.image, isr=(LEADER, OTHER))
    await cluster.until(lambda: len(cluster.nodes[LEADER].broker.watch.image.partition(TOPIC, 0).isr) == 2)  # type: ignore[union-attr]
    reader, far = reader_of(cluster, LEADER), reader_of(cluster, LEADER)
    await reader.start(TOPIC, rack="east")
    await far.start(TOPIC)
    assert await reader.until_values(1) == [b"a"]
    cluster.coordinator.refused.clear()
    assert (await reader.until_sent_away()).broker_id == FOLLOWER
    await cluster.produce(b"b")
    assert await far.until_values(2) == [b"a", b"b"]


@replicated
async def test_a_log_that_is_being_cut_is_read_by_nobody(cluster: Cluster) -> None:
    reader = await _reading(cluster)
    cluster.nodes[FOLLOWER].partition.begin_cut()
    await _ended(reader, leader=LEADER)
    late = reader_of(cluster, FOLLOWER)
    await late.start(TOPIC, from_follower=True)
    await _ended(late, leader=LEADER)

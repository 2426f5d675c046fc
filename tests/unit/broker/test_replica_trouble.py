"""Disks that are full, slow or broken under a leader, and replicas whose damage others must not follow."""

from __future__ import annotations

from streamkeep_common.errors import UnavailableError
from streamkeep_common.methods import HASH_REPLICAS
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.replication_pb2 import HashReplica, HashReplicasRequest
from tests.unit.broker.clients import Fetcher
from tests.unit.broker.cluster import BROKERS, TOPIC, Cluster, replicated
from tests.unit.broker.damage import PAYLOAD_BYTE, put_aside, segment, three_batches, whole


@replicated
async def test_a_leader_whose_disk_cannot_read_any_more_hands_over(cluster: Cluster) -> None:
    await cluster.start()
    await three_batches(cluster)
    node = cluster.leader
    node.disk.cached = False
    node.disk.fail("read", under=segment(node))
    fetcher = Fetcher(cluster.channel(node))
    await fetcher.start(TOPIC)
    assert (await fetcher.until_error()).error.code == errors_pb2.STORAGE_FAILED
    await cluster.until(lambda: cluster.image.leader != node.id)
    await cluster.until(lambda: bool(put_aside(node, ".damaged")))
    node.disk.heal()  # which is another disk's sector in truth, at the same path here
    await whole(cluster, node)
    assert await cluster.consume() == [b"a", b"b", b"c"]


@replicated
async def test_a_replica_that_is_compared_while_it_is_cut_is_not_taken_for_damaged(cluster: Cluster) -> None:
    await cluster.start()
    await three_batches(cluster)
    node = cluster.followers[0]
    log = node.partition.log
    request = HashReplicasRequest(replicas=[HashReplica(topic_id=log.topic_id, from_offset=-1, to_offset=-1)])
    cutting = node.machine.spawn(node.broker.logs.truncate(log, 2))
    while not cutting.done():
        answer = await cluster.channel(node).call(HASH_REPLICAS, request, timeout_s=5)
        assert answer.replicas[0].error.code in (errors_pb2.NONE, errors_pb2.STORAGE_FAILED)
    assert not cluster.coordinator.reports


@replicated
async def test_the_only_replica_stays_as_it_is_however_damaged(cluster: Cluster) -> None:
    await cluster.start()
    await three_batches(cluster)
    node = cluster.leader
    for follower in cluster.followers:
        cluster.coordinator.latest[follower.id].stalled_directory_ids.append(cluster.image.directory_ids[0])
        follower.kill()
    path = segment(node)
    node.kill()
    node.disk.flip_bit(path, PAYLOAD_BYTE, 3)
    await node.start()
    await cluster.until(lambda: bool(cluster.coordinator.reports))
    await cluster.client.clock.sleep(5)
    assert cluster.image.leader == node.id
    assert put_aside(node, ".damaged") == []
    assert len(cluster.coordinator.reports) < 10, "it is not said over and over"


@replicated
async def test_a_broker_with_a_damaged_replica_is_not_elected_before_that_is_known(cluster: Cluster) -> None:
    await cluster.start()
    await three_batches(cluster)
    node = cluster.leader
    path = segment(node)
    for each in cluster.nodes.values():
        each.kill()
    node.disk.flip_bit(path, PAYLOAD_BYTE, 3)
    cluster.coordinator.refuses = UnavailableError("not yet")
    starting = cluster.client.spawn(node.start())
    await cluster.until(lambda: len(cluster.coordinator.reports) > 3)
    assert not starting.done()
    assert cluster.coordinator.image.brokers[node.id].fenced
    cluster.coordinator.refuses = None
    await cluster.until(starting.done, within_s=0.6)
    assert {each.damaged for _, each in cluster.coordinator.reports} == {True}


@replicated
async def test_of_the_last_members_a_damaged_one_goes_as_far_as_it_is_whole(cluster: Cluster) -> None:
    await cluster.start()
    await three_batches(cluster)
    damaged = cluster.leader
    path = segment(damaged)
    for node in cluster.nodes.values():
        node.kill()
    damaged.disk.flip_bit(path, PAYLOAD_BYTE, 3)
    cluster.coordinator.stand(cluster.image, isr=(), elr=(), leader=0, last_members=BROKERS)
    for node in cluster.nodes.values():
        await node.start()
    await cluster.until(lambda: cluster.image.leader != 0)
    ends = {broker: (each.damaged, each.log_end_offset) for broker, each in cluster.coordinator.reports}
    assert ends == {broker: (False, 1 if broker == damaged.id else 3) for broker in BROKERS}
    assert cluster.image.leader != damaged.id
    await whole(cluster, damaged)
    assert await cluster.consume() == [b"a", b"b", b"c"]


@replicated
async def test_files_that_a_person_removed_are_copied_again_and_never_led(cluster: Cluster) -> None:
    await cluster.start()
    await three_batches(cluster)
    node = cluster.followers[0]
    path = node.partition.log.path
    node.kill()
    cluster.coordinator.stand(cluster.image, isr=BROKERS)
    node.disk.remove_tree(path)
    await node.start()
    assert node.id not in cluster.image.isr
    await whole(cluster, node)
    assert await cluster.consume() == [b"a", b"b", b"c"]


@replicated
async def test_a_full_disk_of_the_leader_moves_it_and_is_told_when_it_has_room_again(
    cluster: Cluster,
) -> None:
    await cluster.start(broker={"min_free_bytes": "100000"})
    await cluster.produce(b"a")
    node = cluster.leader
    node.disk.set_capacity(node.disk.used() + 1000)
    assert await cluster.produce(bytes(2000)) < 1
    directory_id = node.broker.logs.directories[0].id
    assert list(cluster.coordinator.latest[node.id].full_directory_ids) == [directory_id]
    assert cluster.image.leader != node.id
    node.disk.set_capacity(1 << 30)
    await whole(cluster, node)
    assert not cluster.coordinator.latest[node.id].full_directory_ids


@replicated
async def test_a_flush_that_hangs_on_the_leader_moves_it(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    node = cluster.leader
    node.machine.workers.stall()
    assert await cluster.produce(b"b") < 4
    assert cluster.image.leader != node.id
    assert cluster.coordinator.latest[node.id].stalled_directory_ids
    node.machine.workers.resume()
    await whole(cluster, node)
    assert await cluster.consume() == [b"a", b"b"]


@replicated
async def test_a_directory_that_fails_is_told_at_once_and_writes_go_on(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    node = cluster.leader
    node.disk.fail("sync")
    assert await cluster.produce(b"b") < 0.5
    assert cluster.coordinator.latest[node.id].offline_directory_ids
    assert cluster.image.leader != node.id

"""Replicas that are damaged, lost, misplaced or moved away, and disks that are full or slow."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.replication.hosting import Hosting
from streamkeep_common.errors import StorageFailedError, UnavailableError
from streamkeep_common.image import PartitionImage, apply
from streamkeep_common.methods import HASH_REPLICAS
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord, TopicRemovedRecord
from streamkeep_proto.v1.replication_pb2 import HashReplica, HashReplicasRequest
from tests.unit.broker.clients import Fetcher, Producer, item, make_batch
from tests.unit.broker.cluster import BROKERS, COORDINATOR, TOPIC, Cluster, Node, replicated

HEADER_BYTE, PAYLOAD_BYTE = 20, 130


def segment(node: Node) -> Path:
    """The first file of its log."""
    directory = node.partition.log.path
    return directory / next(name for name in node.disk.list_directory(directory) if name.endswith(".log"))


async def three_batches(cluster: Cluster) -> None:
    for value in (b"a", b"b", b"c"):
        await cluster.produce(value)


async def leader_whose_damage_is_unheard(cluster: Cluster) -> Node:
    """Its report is on its way for as long as the coordinator answers none."""
    await cluster.start()
    await three_batches(cluster)
    leader = cluster.leader
    leader.disk.flip_bit(segment(leader), PAYLOAD_BYTE, 3)
    cluster.coordinator.answers_reports.clear()
    leader.partition.on_damaged(leader.partition)
    return leader


def put_aside(node: Node, suffix: str) -> list[str]:
    return [name for name in node.logs() if name.endswith(suffix)]


async def whole(cluster: Cluster, node: Node) -> None:
    """Return when the node has all again and counts."""
    await cluster.in_sync()
    await cluster.until(lambda: node.partition.log.flushed_end_offset == len(cluster.values))
    assert not node.partition.log.defects


@replicated
async def test_a_replica_that_is_found_damaged_at_its_start_is_copied_anew(cluster: Cluster) -> None:
    await cluster.start()
    await three_batches(cluster)
    node = cluster.followers[0]
    path = segment(node)
    node.kill()
    node.disk.flip_bit(path, PAYLOAD_BYTE, 3)
    await node.start()
    await whole(cluster, node)
    assert len(put_aside(node, ".damaged")) == 1
    assert [each.damaged for broker, each in cluster.coordinator.reports if broker == node.id] == [True]


@replicated
async def test_a_leader_whose_data_is_damaged_hands_over_and_copies_it_anew(cluster: Cluster) -> None:
    """A reader meets it; nobody is given the wrong bytes, and writes go on."""
    await cluster.start()
    await three_batches(cluster)
    node = cluster.leader
    node.disk.flip_bit(segment(node), HEADER_BYTE, 3)
    fetcher = Fetcher(cluster.channel(node))
    await fetcher.start(TOPIC)
    assert (await fetcher.until_error()).error.code == errors_pb2.CORRUPT_LOG
    await cluster.until(lambda: cluster.image.leader != node.id)
    assert await cluster.produce(b"d") < 0.2
    await whole(cluster, node)
    assert await cluster.consume() == [b"a", b"b", b"c", b"d"]


@replicated
async def test_a_leader_whose_records_are_damaged_is_found_out_when_somebody_begins_there(
    cluster: Cluster,
) -> None:
    """No header is wrong, so the bytes may be given out once; whoever refuses them asks again from there."""
    await cluster.start()
    await three_batches(cluster)
    node = cluster.leader
    node.disk.flip_bit(segment(node), PAYLOAD_BYTE, 3)
    fetcher = Fetcher(cluster.channel(node))
    await fetcher.start(TOPIC)
    assert (await fetcher.until_error()).error.code == errors_pb2.CORRUPT_LOG
    await cluster.until(lambda: cluster.image.leader != node.id)
    await whole(cluster, node)
    assert await cluster.consume() == [b"a", b"b", b"c"]


@replicated
async def test_whoever_compares_replicas_finds_damaged_records_and_has_them_copied_anew(
    cluster: Cluster,
) -> None:
    await cluster.start()
    await three_batches(cluster)
    node = cluster.followers[0]
    node.disk.flip_bit(segment(node), PAYLOAD_BYTE, 3)
    request = HashReplicasRequest(
        replicas=[HashReplica(topic_id=node.partition.log.topic_id, from_offset=-1, to_offset=-1)]
    )
    answer = await cluster.channel(node).call(HASH_REPLICAS, request, timeout_s=5)
    assert answer.replicas[0].error.code == errors_pb2.CORRUPT_LOG
    await cluster.until(lambda: bool(put_aside(node, ".damaged")))
    await whole(cluster, node)


@replicated
async def test_a_damaged_replica_that_is_back_in_sync_before_its_report_is_answered_is_copied_anew(
    cluster: Cluster,
) -> None:
    """However that came: its damage does not show at its end, so only its own word tells of it."""
    node = await leader_whose_damage_is_unheard(cluster)
    await cluster.until(lambda: cluster.image.leader != node.id)
    cluster.coordinator.stand(cluster.image, isr=BROKERS)
    await cluster.until(lambda: node.partition.partition_epoch == cluster.image.partition_epoch)
    cluster.coordinator.answers_reports.set()
    await cluster.until(lambda: bool(put_aside(node, ".damaged")))
    await whole(cluster, node)


@replicated
async def test_a_damaged_replica_that_nobody_counts_on_follows_nobody_before_it_has_begun_anew(
    cluster: Cluster,
) -> None:
    """By its end it would come into sync at once, and its log may be emptied just then."""
    node = await leader_whose_damage_is_unheard(cluster)
    await cluster.until(lambda: node.partition.leader not in (0, node.id))
    await cluster.client.clock.sleep(1)
    assert node.id not in cluster.image.isr
    assert not cluster.coordinator.proposals
    cluster.coordinator.answers_reports.set()
    await cluster.until(lambda: bool(put_aside(node, ".damaged")))
    await whole(cluster, node)


@replicated
async def test_a_damaged_replica_begins_anew_whichever_coordinator_answers(cluster: Cluster) -> None:
    """It waits for an answer: one that is lost with its coordinator is asked for again."""
    node = await leader_whose_damage_is_unheard(cluster)
    await cluster.until(lambda: node.partition.leader not in (0, node.id))
    await cluster.coordinator.stop()
    cluster.coordinator.answers_reports.set()
    await cluster.client.clock.sleep(1)
    await cluster.coordinator.start(COORDINATOR)
    await cluster.until(lambda: bool(put_aside(node, ".damaged")))
    await whole(cluster, node)


@replicated
async def test_a_damaged_replica_that_could_not_be_put_aside_is_tried_again(cluster: Cluster) -> None:
    await cluster.start()
    await three_batches(cluster)
    node = cluster.followers[0]
    node.kill()
    node.disk.flip_bit(segment(node), HEADER_BYTE, 3)
    cluster.coordinator.answers_reports.clear()
    await node.start()
    put_it_aside, tried = node.broker.logs.quarantine, []

    async def too_many_files(log: PartitionLog) -> None:
        tried.append(log)
        if len(tried) == 1:
            raise StorageFailedError("too many open files")
        await put_it_aside(log)

    node.broker.logs.quarantine = too_many_files  # type: ignore[method-assign]
    cluster.coordinator.answers_reports.set()
    await whole(cluster, node)
    assert len(tried) == 2


@replicated
async def test_a_replica_that_is_taken_away_just_when_it_was_to_be_copied_anew_is_only_deleted(
    cluster: Cluster,
) -> None:
    """Both come with one message, so nothing else has a turn in between."""
    await cluster.start()
    await cluster.produce(b"a")
    node = cluster.followers[0]
    others = tuple(each for each in BROKERS if each != node.id)
    cluster.coordinator.refused[node.id] = None
    cluster.coordinator.stand(cluster.image, isr=others)
    await cluster.until(lambda: node.partition.partition_epoch == cluster.image.partition_epoch)
    removal = MetadataRecord(topic_removed=TopicRemovedRecord(topic_id=TOPIC))
    image = node.broker.watch.image

    def renew_and_delete() -> None:
        node.broker.partitions.may_copy_anew(node.partition)
        node.broker.partitions.follow(apply(image, [removal], image.index + 1)[1])

    node.machine.process.call(renew_and_delete)
    await cluster.until(lambda: not len(node.broker.partitions))
    await cluster.client.clock.sleep(1)
    assert not put_aside(node, ".damaged")


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


def without(image: PartitionImage, broker_id: int) -> dict[str, object]:
    """The partition once that broker's replica has moved away."""
    kept = [each for each in image.replicas if each != broker_id]
    return {
        "replicas": tuple(kept),
        "directory_ids": tuple(image.directory_of(each) for each in kept),
        "isr": tuple(kept),
        "leader": image.leader if image.leader in kept else kept[0],
        "leader_epoch": image.leader_epoch + 1,
    }


@replicated
async def test_a_replica_that_has_moved_away_is_deleted_and_who_asks_hears_who_leads(
    cluster: Cluster,
) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    node = cluster.leader
    cluster.coordinator.stand(cluster.image, **without(cluster.image, node.id))
    await cluster.until(lambda: len(node.broker.partitions) == 0)
    (result,) = await Producer(cluster.channel(node)).produce(item(TOPIC, make_batch([b"b"], sequence=1)))
    assert result.error.code == errors_pb2.NOT_LEADER
    assert result.error.leader.broker_id == cluster.image.leader
    assert node.logs() == put_aside(node, ".deleted") != []
    await cluster.produce(b"b")
    assert await cluster.consume() == [b"a", b"b"]


@replicated
async def test_a_snapshot_that_moves_a_replica_away_deletes_nothing(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    node, *others = [*cluster.followers, cluster.leader]
    before = node.logs()
    for other in others:
        other.machine.kill()
    await cluster.coordinator.stop()
    cluster.coordinator.stand(cluster.image, **without(cluster.image, node.id))
    cluster.coordinator.snapshot_first = True
    await cluster.coordinator.start(COORDINATOR)
    await cluster.until(lambda: len(node.broker.partitions) == 0)
    await cluster.client.clock.sleep(2)
    assert not cluster.coordinator.snapshot_first
    assert node.logs() == before


@replicated
async def test_a_replica_that_moved_away_while_its_broker_was_down_is_deleted_when_it_is_back(
    cluster: Cluster,
) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    node = cluster.followers[0]
    node.kill()
    cluster.coordinator.stand(cluster.image, **without(cluster.image, node.id))
    await node.start()
    await cluster.until(lambda: node.logs() == put_aside(node, ".deleted") != [])


@replicated
async def test_a_replica_that_could_not_be_hosted_is_deleted_with_its_topic_all_the_same(
    cluster: Cluster,
) -> None:
    await cluster.start()
    await cluster.produce(b"a")
    node = cluster.followers[0]
    node.kill()
    with patch.object(Hosting, "open", side_effect=StorageFailedError("too many open files")):
        await node.start()
        await cluster.until(lambda: node.broker.partitions.failed == 1)
        cluster.coordinator.remove_topic(TOPIC)
        await cluster.until(lambda: node.logs() == put_aside(node, ".deleted") != [], within_s=5)
    assert node.broker.partitions.failed == 0


TWO_DIRECTORIES = {"data_dirs": "/data,/more"}


@replicated
async def test_a_replica_that_is_given_another_directory_is_copied_there_and_its_old_log_is_put_aside(
    cluster: Cluster,
) -> None:
    await cluster.start(broker=TWO_DIRECTORIES)
    await cluster.produce(b"a")
    node = cluster.followers[0]
    other = node.broker.logs.directories[1].id
    image = cluster.image
    directories = list(image.directory_ids)
    directories[image.replicas.index(node.id)] = other
    members = tuple(each for each in image.isr if each != node.id)
    cluster.coordinator.stand(image, directory_ids=tuple(directories), isr=members)
    await whole(cluster, node)
    assert node.partition.log.path.parent == Path("/more")
    assert len(put_aside(node, ".misplaced")) == 1
    node.kill()
    await node.start(**TWO_DIRECTORIES)
    await whole(cluster, node)
    assert len(node.broker.logs) == 1

"""Replicas that are found damaged: they are put aside and copied anew, and no damage is led."""

from __future__ import annotations

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.errors import StorageFailedError
from streamkeep_common.image import apply
from streamkeep_common.methods import HASH_REPLICAS
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord, TopicRemovedRecord
from streamkeep_proto.v1.replication_pb2 import HashReplica, HashReplicasRequest
from tests.unit.broker.clients import Fetcher
from tests.unit.broker.cluster import BROKERS, COORDINATOR, TOPIC, Cluster, replicated
from tests.unit.broker.damage import (
    HEADER_BYTE,
    PAYLOAD_BYTE,
    leader_whose_damage_is_unheard,
    put_aside,
    segment,
    three_batches,
    whole,
)


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

"""Replicas that were moved away from a broker, or to another of its directories."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from streamkeep_broker.replication.hosting import Hosting
from streamkeep_common.errors import StorageFailedError
from streamkeep_common.image import PartitionImage
from streamkeep_proto.v1 import errors_pb2
from tests.unit.broker.clients import Producer, item, make_batch
from tests.unit.broker.cluster import COORDINATOR, TOPIC, Cluster, replicated
from tests.unit.broker.damage import put_aside, whole


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

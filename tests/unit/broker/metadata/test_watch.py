"""Following the metadata: what a broker does with what it is told, and what it never does."""

from __future__ import annotations

from streamkeep_common.errors import ClusterMismatchError
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.metadata_pb2 import (
    FeatureLevelRecord,
    MetadataEntry,
    MetadataRecord,
    QuorumMember,
    QuorumRecord,
    TopicRecord,
)
from tests.unit.broker.clients import item, make_batch
from tests.unit.broker.coordinator import FakeCoordinator
from tests.unit.broker.world import COORDINATOR, DATA, TOPIC, World, simulated

FEATURE_LEVEL_2 = MetadataRecord(feature_level=FeatureLevelRecord(level=2))


def quorum_of_epoch(cluster_epoch: int) -> MetadataRecord:
    member = QuorumMember(coordinator_id=1, directory_id=bytes(16), voter=True)
    return MetadataRecord(quorum=QuorumRecord(cluster_epoch=cluster_epoch, members=[member]))


def directories(world: World) -> list[str]:
    return [name for name in world.disk.list_directory(DATA) if name.startswith("flights")]


@simulated
async def test_the_watch_resumes_where_it_was(world: World) -> None:
    await world.start()
    await world.coordinator.stop()
    world.create_topic(b"made-while-away!", "other")
    await world.client.clock.sleep(1)
    await world.coordinator.start(COORDINATOR)
    await world.hosted(2)
    assert world.broker.watch.image.index == world.coordinator.image.index


@simulated
async def test_a_snapshot_stands_for_all_entries_before_it(world: World) -> None:
    await world.start(partitions=3)
    world.kill_broker()
    world.coordinator.snapshot_first = True
    await world.start_broker()
    await world.hosted(3)
    assert [partition.leader_epoch for partition in world.broker.partitions] == [2, 2, 2]


@simulated
async def test_settings_change_while_the_partition_is_used(world: World) -> None:
    await world.start()
    world.coordinator.change_setting(TOPIC, "max_batch_bytes", "1024")
    (partition,) = world.broker.partitions
    await world.until(lambda: partition.log.settings.max_batch_bytes == 1024)
    (result,) = await world.producer().produce(item(TOPIC, make_batch([bytes(2000)])))
    assert result.error.code == errors_pb2.BATCH_TOO_LARGE


@simulated
async def test_a_deleted_topic_is_served_no_more_and_its_files_go_later(world: World) -> None:
    await world.start()
    await world.producer().produce(item(TOPIC, make_batch([b"a"])))
    world.coordinator.remove_topic(TOPIC)
    await world.until(lambda: len(world.broker.partitions) == 0)
    (result,) = await world.producer().produce(item(TOPIC, make_batch([b"b"], sequence=1)))
    assert result.error.code == errors_pb2.UNKNOWN_TOPIC
    (left,) = directories(world)
    assert left.endswith(".deleted")
    await world.until(lambda: directories(world) == [], within_s=120)


@simulated
async def test_a_topic_made_again_under_its_name_is_another_topic(world: World) -> None:
    await world.start()
    await world.producer().produce(item(TOPIC, make_batch([b"old"])))
    world.coordinator.remove_topic(TOPIC)
    again = b"flights-reborn!!"
    world.create_topic(again, "flights")
    await world.until(lambda: [p.log.topic_id for p in world.broker.partitions] == [again])
    (result,) = await world.producer().produce(item(again, make_batch([b"new"])))
    assert result.base_offset == 0
    (late,) = await world.producer().produce(item(TOPIC, make_batch([b"late"], sequence=1)))
    assert late.error.code == errors_pb2.UNKNOWN_TOPIC


@simulated
async def test_a_topic_deleted_while_the_broker_was_down_goes_when_it_is_back(world: World) -> None:
    await world.start()
    await world.stop_broker()
    world.coordinator.remove_topic(TOPIC)
    await world.start_broker()
    await world.until(lambda: len(world.broker.logs) == 0)


@simulated
async def test_a_snapshot_that_lacks_a_topic_never_deletes_its_data(world: World) -> None:
    """NATS #7556: a damaged snapshot made live streams look like orphans."""
    await world.start()
    await world.producer().produce(item(TOPIC, make_batch([b"precious"])))
    before = directories(world)
    world.coordinator.forget_topics()
    await world.coordinator.stop()
    await world.coordinator.start(COORDINATOR)
    await world.until(lambda: len(world.broker.partitions) == 0)
    await world.client.clock.sleep(300)
    assert directories(world) == before
    (result,) = await world.producer().produce(item(TOPIC, make_batch([b"b"], sequence=1)))
    assert result.error.code == errors_pb2.UNKNOWN_TOPIC


@simulated
async def test_an_image_never_goes_back(world: World) -> None:
    await world.start()
    index = world.broker.watch.image.index
    await world.coordinator.stop()
    behind = FakeCoordinator(world.simulation.machine("coordinator").network)
    behind.snapshot_first = True
    await behind.start(COORDINATOR)
    await world.client.clock.sleep(5)
    assert world.broker.watch.image.index == index
    assert len(world.broker.partitions) == 1


@simulated
async def test_only_a_recovery_by_force_may_shorten_the_log(world: World) -> None:
    await world.start()
    world.coordinator.commit(FEATURE_LEVEL_2, quorum_of_epoch(1))
    for number in range(20):
        world.coordinator.commit(
            MetadataRecord(topic=TopicRecord(topic_id=bytes([number] * 16), name=f"t{number}"))
        )
    index = world.coordinator.image.index
    await world.until(lambda: world.broker.watch.image.index == index)
    await world.coordinator.stop()
    recovered = FakeCoordinator(world.simulation.machine("coordinator").network)
    recovered.commit(FEATURE_LEVEL_2, quorum_of_epoch(2))
    recovered.snapshot_first = True
    await recovered.start(COORDINATOR)
    await world.until(lambda: world.broker.watch.image.cluster_epoch == 2)
    assert world.broker.watch.image.index < index
    assert world.failures == []


@simulated
async def test_another_clusters_metadata_is_refused(world: World) -> None:
    await world.start()
    await world.coordinator.stop()
    stranger = FakeCoordinator(world.simulation.machine("coordinator").network, cluster_id="B" * 22)
    await stranger.start(COORDINATOR)
    await world.until(lambda: len(world.failures) > 0)
    assert isinstance(world.failures[0], ClusterMismatchError)
    assert len(world.broker.partitions) == 1


@simulated
async def test_metadata_that_contradicts_itself_ends_the_process(world: World) -> None:
    await world.start()
    twice = MetadataRecord(topic=TopicRecord(topic_id=TOPIC, name="flights"))
    world.coordinator.entries.append(MetadataEntry(index=world.coordinator.image.index + 1, records=[twice]))
    await world.until(lambda: len(world.failures) == 1)
    assert "there is a topic" in str(world.failures[0])

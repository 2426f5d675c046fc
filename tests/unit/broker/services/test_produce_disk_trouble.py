"""What producers are told when a disk is full, fails or stalls, and how it goes on."""

from __future__ import annotations

import errno

from streamkeep_proto.v1 import errors_pb2
from tests.unit.broker.clients import item, make_batch
from tests.unit.broker.world import OTHER_TOPIC, TOPIC, World, simulated


@simulated
async def test_a_full_disk_refuses_appends_and_serves_reads_until_there_is_room(world: World) -> None:
    await world.start()
    producer, fetcher = world.producer(), world.fetcher()
    await producer.produce(item(TOPIC, make_batch([b"safe"])))
    world.disk.set_capacity(world.disk.used() + 100)
    batch = make_batch([bytes(5000)], sequence=1)
    (refused,) = await producer.produce(item(TOPIC, batch))
    assert refused.error.code == errors_pb2.DISK_FULL
    await fetcher.start(TOPIC)
    assert await fetcher.until_values(1) == [b"safe"]
    world.disk.set_capacity(1 << 30)
    await world.client.clock.sleep(5)
    (accepted,) = await producer.produce(item(TOPIC, batch))
    assert accepted.base_offset == 1


@simulated
async def test_a_topic_made_while_the_disk_is_full_is_hosted_when_there_is_room(world: World) -> None:
    await world.start()
    world.disk.set_capacity(world.disk.used())
    world.disk.fail("write", error=errno.ENOSPC)
    late = b"made-on-full-dsk"
    world.create_topic(late, "late")
    await world.client.clock.sleep(2)
    (refused,) = await world.producer().produce(item(late, make_batch([b"a"])))
    assert refused.error.code == errors_pb2.DISK_FULL
    world.disk.heal()
    world.disk.set_capacity(1 << 30)
    await world.hosted(2)
    (accepted,) = await world.producer().produce(item(late, make_batch([b"a"])))
    assert accepted.base_offset == 0


@simulated
async def test_a_topic_made_while_there_are_no_descriptors_is_hosted_when_there_are(world: World) -> None:
    await world.start()
    producer = world.producer()
    world.disk.max_open_files = 0
    world.create_topic(OTHER_TOPIC, "other")
    await world.client.clock.sleep(1)
    (result,) = await producer.produce(item(OTHER_TOPIC, make_batch([b"x"])))
    assert result.error.code == errors_pb2.STORAGE_FAILED
    world.disk.max_open_files = 1000
    (result,) = await producer.produce(item(OTHER_TOPIC, make_batch([b"x"])))
    assert not result.HasField("error")


@simulated
async def test_a_failed_flush_answers_all_that_wait_and_is_never_tried_again(world: World) -> None:
    await world.start()
    producer = world.producer()
    await producer.produce(item(TOPIC, make_batch([b"a"])))
    world.disk.fail("sync")
    (failed,) = await producer.produce(item(TOPIC, make_batch([b"b"], sequence=1)))
    assert failed.error.code == errors_pb2.STORAGE_FAILED
    world.disk.heal()
    (refused,) = await producer.produce(item(TOPIC, make_batch([b"b"], sequence=1)))
    assert refused.error.code == errors_pb2.STORAGE_FAILED
    (safe,) = await producer.produce(item(TOPIC, make_batch([b"a"])))
    assert safe.base_offset == 0, "what was safe before is still a success"
    await world.until(lambda: bool(world.coordinator.heartbeats[-1].offline_directory_ids))


@simulated
async def test_a_stalled_disk_refuses_new_batches_and_recovers(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "200"})
    producer = world.producer()
    world.machine.workers.stall()
    await producer.send(item(TOPIC, make_batch([b"a"])))
    await world.client.clock.sleep(1)
    await producer.send(item(TOPIC, make_batch([b"b"], sequence=1)))
    await world.client.clock.sleep(1)
    world.machine.workers.resume()
    await producer.until(2)
    assert producer.results[0].base_offset == 0
    assert producer.results[1].error.code == errors_pb2.DISK_STALLED
    (again,) = await producer.produce(item(TOPIC, make_batch([b"b"], sequence=1)))
    assert again.base_offset == 1

"""What producers can rely on: what is acknowledged, when, and in which order."""

from __future__ import annotations

from typing import Any
from unittest import mock

from streamkeep_broker.replication.partition import Partition
from streamkeep_common.records import Codec
from streamkeep_proto.v1 import errors_pb2
from tests.unit.broker.clients import item, make_batch
from tests.unit.broker.world import OTHER_TOPIC, TOPIC, World, simulated


@simulated
async def test_a_batch_is_acknowledged_with_its_offset_and_time(world: World) -> None:
    await world.start()
    producer = world.producer()
    (first,) = await producer.produce(item(TOPIC, make_batch([b"a", b"b"])))
    (second,) = await producer.produce(item(TOPIC, make_batch([b"c"], sequence=2)))
    assert (first.base_offset, second.base_offset) == (0, 2)
    assert first.append_time_ms > 0
    assert not first.HasField("error")


@simulated
async def test_what_is_acknowledged_is_on_the_disk(world: World) -> None:
    await world.start()
    await world.producer().produce(item(TOPIC, make_batch([b"a"])))
    world.cut_power()
    await world.start_broker()
    await world.hosted(1)
    fetcher = world.fetcher()
    await fetcher.start(TOPIC)
    assert await fetcher.until_values(1) == [b"a"]


@simulated
async def test_with_durability_os_nobody_waits_for_the_disk(world: World) -> None:
    await world.start(durability="os")
    world.machine.workers.stall()
    (result,) = await world.producer().produce(item(TOPIC, make_batch([b"a"])))
    assert result.base_offset == 0


@simulated
async def test_with_durability_fsync_nothing_is_acknowledged_before_the_flush(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "60000"})
    producer = world.producer()
    world.machine.workers.stall()
    await producer.send(item(TOPIC, make_batch([b"a"])))
    for _ in range(3):
        await producer.receive()
    assert producer.results == []
    world.machine.workers.resume()
    (result,) = await producer.until(1)
    assert result.base_offset == 0


@simulated
async def test_a_request_carries_several_partitions_and_each_has_its_own_outcome(world: World) -> None:
    await world.start(partitions=3)
    results = await world.producer().produce(
        item(TOPIC, make_batch([b"a"]), partition=2),
        item(OTHER_TOPIC, make_batch([b"a"])),
        item(TOPIC, make_batch([b"a"]), partition=7),
        item(b"short", make_batch([b"a"])),
        item(TOPIC, None, partition=1),
        item(TOPIC, make_batch([b"a", b"b"]), partition=0),
    )
    outcomes = {(result.topic_id, result.partition): result.error.code for result in results}
    assert outcomes == {
        (TOPIC, 2): errors_pb2.NONE,
        (OTHER_TOPIC, 0): errors_pb2.UNKNOWN_TOPIC,
        (TOPIC, 7): errors_pb2.UNKNOWN_PARTITION,
        (b"short", 0): errors_pb2.UNKNOWN_TOPIC,
        (TOPIC, 1): errors_pb2.INVALID_REQUEST,
        (TOPIC, 0): errors_pb2.NONE,
    }


@simulated
async def test_answers_of_one_partition_come_in_the_order_of_its_batches(world: World) -> None:
    await world.start(partitions=2)
    producer = world.producer()
    first = make_batch([b"0"])
    sent = [await producer.send(item(TOPIC, first))]
    for number in range(1, 20):
        batch = first if number % 3 == 0 else make_batch([b"x"], sequence=100 if number % 5 == 0 else number)
        sent.append(await producer.send(item(TOPIC, batch)))
    await producer.until(20)
    assert [result.request_id for result in producer.results] == sent


@simulated
async def test_a_partition_that_waits_holds_up_no_other(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "60000"})
    other = b"in-memory-topic!"
    world.create_topic(other, "quick", durability="os")
    await world.hosted(2)
    producer = world.producer()
    world.machine.workers.stall()
    slow = await producer.send(item(TOPIC, make_batch([b"a"])))
    quick = await producer.send(item(other, make_batch([b"a"])))
    await producer.until(1)
    assert [result.request_id for result in producer.results] == [quick]
    world.machine.workers.resume()
    await producer.until(2)
    assert producer.results[1].request_id == slow


@simulated
async def test_others_get_a_turn_between_the_compressed_batches_of_a_request(world: World) -> None:
    await world.start(partitions=5)
    producer = world.producer()
    loop = world.simulation.loop
    appended_at: list[int] = []
    append = Partition.append

    def note_the_step(*arguments: Any, **options: Any) -> None:
        appended_at.append(loop.steps)
        append(*arguments, **options)

    batches = [item(TOPIC, make_batch([b"x"], codec=Codec.ZSTD), partition=number) for number in range(5)]
    with mock.patch.object(Partition, "append", note_the_step):
        results = await producer.produce(*batches)
    assert [result.error.code for result in results] == [errors_pb2.NONE] * 5
    assert len(set(appended_at)) == 5


@simulated
async def test_an_idle_stream_says_something_every_half_second(world: World) -> None:
    await world.start()
    producer = world.producer()
    for _ in range(5):
        before = world.client.clock.monotonic()
        await producer.receive()
        assert world.client.clock.monotonic() - before <= 0.5
    assert producer.results == []


@simulated
async def test_a_half_closed_stream_ends_when_everything_is_answered(world: World) -> None:
    await world.start()
    producer = world.producer()
    for number in range(5):
        await producer.send(item(TOPIC, make_batch([b"a"], sequence=number)))
    await producer.stream.half_close()
    while await producer.receive():
        pass
    assert [result.base_offset for result in producer.results] == [0, 1, 2, 3, 4]


@simulated
async def test_a_clock_that_goes_back_disturbs_nobody(world: World) -> None:
    await world.start()
    producer = world.producer()
    await producer.produce(item(TOPIC, make_batch([b"a"])))
    world.machine.clock.jump(-3_600_000)
    (result,) = await producer.produce(item(TOPIC, make_batch([b"b"], sequence=1)))
    assert result.base_offset == 1
    (duplicate,) = await producer.produce(item(TOPIC, make_batch([b"a"])))
    assert duplicate.base_offset == 0

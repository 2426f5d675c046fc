"""What consumers can rely on."""

from __future__ import annotations

import pytest

from streamkeep_common.seams import RpcError, Status
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.broker_pb2 import FetchRequest, FetchStart
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.unit.broker.clients import MIB, Producer, item, make_batch
from tests.unit.broker.world import DATA, TOPIC, World, simulated


async def fill(
    producer: Producer, count: int, *, partition: int = 0, size: int = 1, first: int = 0
) -> list[bytes]:
    """`count` batches of one record each."""
    values = [b"%d" % number + bytes(size - 1) for number in range(first, first + count)]
    for number, value in enumerate(values, first):
        batch = make_batch([value], sequence=number, producer_id=partition + 1)
        (result,) = await producer.produce(item(TOPIC, batch, partition=partition))
        assert not result.HasField("error")
    return values


@simulated
async def test_records_come_back_as_they_were_sent_and_new_ones_are_pushed(world: World) -> None:
    await world.start()
    producer, fetcher = world.producer(), world.fetcher()
    values = await fill(producer, 5)
    await fetcher.start(TOPIC)
    assert await fetcher.until_values(5) == values
    values += await fill(producer, 3, first=5)
    assert await fetcher.until_values(8) == values


@simulated
async def test_a_response_carries_the_file_as_it_stands(world: World) -> None:
    await world.start()
    producer, fetcher = world.producer(), world.fetcher()
    await fill(producer, 4)
    await fetcher.start(TOPIC)
    await fetcher.until_values(4)
    (log,) = world.broker.logs
    on_disk = world.disk.read_file(log.path / f"{0:020d}.log")
    assert LogSegment(batches=fetcher.batches()) == LogSegment.FromString(on_disk)


@simulated
async def test_reading_begins_at_the_offset_asked_for_or_in_the_batch_around_it(world: World) -> None:
    await world.start()
    producer, fetcher = world.producer(), world.fetcher()
    await producer.produce(item(TOPIC, make_batch([b"a", b"b"])))
    await producer.produce(item(TOPIC, make_batch([b"c", b"d"], sequence=2)))
    await fetcher.start(TOPIC, offset=3)
    assert await fetcher.until_values(2) == [b"c", b"d"]


@simulated
async def test_nothing_above_the_high_watermark_is_shown(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "60000"})
    producer, fetcher = world.producer(), world.fetcher()
    await fill(producer, 1)
    world.machine.workers.stall()
    await producer.send(item(TOPIC, make_batch([b"unsafe"], sequence=1)))
    await fetcher.start(TOPIC)
    await fetcher.until_values(1)
    for _ in range(4):
        await fetcher.receive()
    assert len(fetcher.values()) == 1
    world.machine.workers.resume()
    assert (await fetcher.until_values(2))[1] == b"unsafe"


@simulated
async def test_credit_bounds_what_is_sent_and_one_batch_may_overdraw(world: World) -> None:
    await world.start()
    producer, fetcher = world.producer(), world.fetcher()
    await fill(producer, 6, size=1000)
    await fetcher.start(TOPIC, credit=2500)
    await fetcher.until_values(2)
    for _ in range(3):
        await fetcher.receive()
    sent = len(fetcher.values())
    assert sent in (2, 3)
    await fetcher.credit(100_000)
    assert len(await fetcher.until_values(6)) == 6


@simulated
async def test_a_batch_larger_than_the_credit_and_a_message_is_sent_whole(world: World) -> None:
    await world.start()
    producer, fetcher = world.producer(), world.fetcher()
    await fill(producer, 1, size=3 * MIB)
    await fetcher.start(TOPIC, credit=10)
    assert len((await fetcher.until_values(1))[0]) == 3 * MIB


@simulated
async def test_many_small_partitions_share_a_response(world: World) -> None:
    await world.start(partitions=50)
    producer, fetcher = world.producer(), world.fetcher()
    for partition in range(50):
        await fill(producer, 1, partition=partition)
    await fetcher.stream.send(
        FetchRequest(
            start=[
                FetchStart(subscription=number, topic_id=TOPIC, partition=number, credit_bytes=MIB)
                for number in range(50)
            ]
        )
    )
    await fetcher.until_values(1, subscription=49)
    assert [len(fetcher.values(number)) for number in range(50)] == [1] * 50
    assert len(fetcher.responses) <= 2


@simulated
async def test_a_long_partition_does_not_keep_a_short_one_waiting(world: World) -> None:
    await world.start(partitions=2)
    producer, fetcher = world.producer(), world.fetcher()
    await fill(producer, 12, size=500_000)
    await fill(producer, 1, partition=1)
    starts = [
        FetchStart(subscription=1, topic_id=TOPIC, partition=0, credit_bytes=100 * MIB),
        FetchStart(subscription=2, topic_id=TOPIC, partition=1, credit_bytes=MIB),
    ]
    await fetcher.stream.send(FetchRequest(start=starts))
    await fetcher.until_values(1, subscription=2)
    assert len(fetcher.values(1)) < 12


@simulated
async def test_a_reader_that_does_not_read_holds_up_no_other(world: World) -> None:
    await world.start()
    producer, slow, quick = world.producer(), world.fetcher(), world.fetcher()
    await slow.start(TOPIC, credit=100 * MIB)
    await quick.start(TOPIC, credit=100 * MIB)
    await fill(producer, 30, size=500_000)
    assert len(await quick.until_values(30)) == 30
    assert slow.responses == []
    assert len(await slow.until_values(30)) == 30


@simulated
async def test_partitions_are_added_and_removed_while_the_stream_runs(world: World) -> None:
    await world.start(partitions=2)
    producer, fetcher = world.producer(), world.fetcher()
    await fetcher.start(TOPIC, subscription=1)
    await fill(producer, 1)
    await fetcher.until_values(1)
    await fetcher.stop(1)
    await fetcher.start(TOPIC, subscription=2, partition=1)
    await fetcher.receive()
    await fill(producer, 1, first=1)
    await fill(producer, 1, partition=1)
    await fetcher.until_values(1, subscription=2)
    assert len(fetcher.values(1)) == 1


@simulated
async def test_an_offset_outside_the_log_is_an_error_and_never_skipped(world: World) -> None:
    await world.start()
    producer, fetcher = world.producer(), world.fetcher()
    await fill(producer, 5)
    (partition,) = world.broker.partitions
    partition.delete_records(3)
    await fetcher.start(TOPIC, subscription=1, offset=2)
    await fetcher.start(TOPIC, subscription=2, offset=6)
    await fetcher.start(TOPIC, subscription=3, offset=5)
    for subscription in (1, 2):
        ended = await fetcher.until_error(subscription=subscription)
        assert ended.error.code == errors_pb2.OFFSET_OUT_OF_RANGE
    assert not any(p.HasField("error") for p in fetcher.partitions if p.subscription == 3)


@simulated
async def test_a_reader_overtaken_by_deletion_is_told(world: World) -> None:
    await world.start()
    producer, fetcher = world.producer(), world.fetcher()
    await fill(producer, 5)
    await fetcher.start(TOPIC, credit=1)
    await fetcher.until_values(1)
    (partition,) = world.broker.partitions
    partition.delete_records(4)
    await fetcher.credit(MIB)
    assert (await fetcher.until_error()).error.code == errors_pb2.OFFSET_OUT_OF_RANGE


@simulated
async def test_what_cannot_be_read_here_is_refused_with_its_reason(world: World) -> None:
    await world.start(partitions=2)
    world.coordinator.change_leader(TOPIC, 1, leader=0)
    await world.hosted(1)
    fetcher = world.fetcher()
    await fetcher.start(b"nobody-knows-it!", subscription=1)
    await fetcher.start(TOPIC, subscription=2, partition=9)
    await fetcher.start(TOPIC, subscription=3, partition=1)
    await fetcher.start(TOPIC, subscription=4, leader_epoch=5)
    await fetcher.start(TOPIC, subscription=5, last_read_epoch=5)
    codes = {number: (await fetcher.until_error(subscription=number)).error.code for number in range(1, 6)}
    assert codes == {
        1: errors_pb2.UNKNOWN_TOPIC,
        2: errors_pb2.UNKNOWN_PARTITION,
        3: errors_pb2.NOT_LEADER,
        4: errors_pb2.UNKNOWN_LEADER_EPOCH,
        5: errors_pb2.UNKNOWN_LEADER_EPOCH,
    }


@simulated
async def test_a_reader_of_records_that_were_lost_is_told_so(world: World) -> None:
    """KIP-320: with durability `os` a power cut may take what was read; others may take its place."""
    await world.start(durability="os", broker={"checkpoint_ms": "3600000"})
    await fill(world.producer(), 5)
    world.cut_power()
    await world.start_broker()
    await world.hosted(1)
    (partition,) = world.broker.partitions
    kept = partition.log.log_end_offset
    assert kept < 5, "the seed keeps everything: choose another"
    others = [make_batch([b"other"], producer_id=7, sequence=number) for number in range(5)]
    for batch in others:
        await world.producer().produce(item(TOPIC, batch))
    fetcher = world.fetcher()
    await fetcher.start(TOPIC, subscription=1, offset=kept + 1, last_read_epoch=1)
    await fetcher.start(TOPIC, subscription=2, offset=kept, last_read_epoch=1 if kept else 0)
    ended = await fetcher.until_error(subscription=1)
    assert ended.error.code == errors_pb2.OFFSET_OUT_OF_RANGE
    assert f"cut at offset {kept}" in ended.error.message
    assert await fetcher.until_values(5, subscription=2) == [b"other"] * 5


@simulated
async def test_a_corrupt_frame_is_named_with_file_and_byte(world: World) -> None:
    await world.start()
    await fill(world.producer(), 5, size=100)
    (log,) = world.broker.logs
    path = log.path / f"{0:020d}.log"
    frame_bytes = world.disk.file_size(path) // 5
    world.disk.flip_bit(path, 2 * frame_bytes + 7, 3)
    fetcher = world.fetcher()
    await fetcher.start(TOPIC, offset=2)
    ended = await fetcher.until_error()
    assert ended.error.code == errors_pb2.CORRUPT_LOG
    assert str(path) in ended.error.message
    assert f"byte {2 * frame_bytes}" in ended.error.message


@simulated
async def test_the_first_response_tells_the_watermark_of_an_empty_partition(world: World) -> None:
    await world.start()
    fetcher = world.fetcher()
    await fetcher.start(TOPIC)
    while not fetcher.partitions:
        await fetcher.receive()
    (news,) = fetcher.partitions
    assert (news.high_watermark, news.log_start_offset, news.leader_epoch) == (0, 0, 1)
    assert not news.HasField("data")


@simulated
async def test_watermarks_that_move_without_credit_are_told_together(world: World) -> None:
    await world.start()
    producer, fetcher = world.producer(), world.fetcher()
    await fetcher.start(TOPIC, credit=0)
    await fetcher.receive()
    await fill(producer, 50)
    while not fetcher.partitions or fetcher.partitions[-1].high_watermark < 50:
        await fetcher.receive()
    assert len(fetcher.partitions) < 10


@simulated
async def test_an_idle_stream_says_something_every_half_second(world: World) -> None:
    await world.start()
    fetcher = world.fetcher()
    for _ in range(5):
        before = world.client.clock.monotonic()
        assert await fetcher.receive() is not None
        assert world.client.clock.monotonic() - before <= 0.5


@simulated
async def test_deleting_the_topic_ends_its_subscriptions_and_no_other(world: World) -> None:
    await world.start()
    other = b"another-topic-id"
    world.create_topic(other, "other")
    await world.hosted(2)
    fetcher = world.fetcher()
    await fetcher.start(TOPIC, subscription=1)
    await fetcher.start(other, subscription=2)
    await fetcher.receive()
    world.coordinator.remove_topic(TOPIC)
    assert (await fetcher.until_error(subscription=1)).error.code == errors_pb2.UNKNOWN_TOPIC
    await world.producer().produce(item(other, make_batch([b"a"])))
    assert await fetcher.until_values(1, subscription=2) == [b"a"]


@simulated
async def test_a_number_used_twice_ends_the_stream(world: World) -> None:
    await world.start()
    fetcher = world.fetcher()
    await fetcher.start(TOPIC, subscription=1)
    await fetcher.start(TOPIC, subscription=1)
    with pytest.raises(RpcError, match="subscription 1 is in use") as error:
        while await fetcher.receive():
            pass
    assert error.value.status is Status.INVALID_ARGUMENT


@simulated
async def test_truncated_protobuf_ends_its_stream_and_no_other(world: World) -> None:
    await world.start()
    other, broken = world.fetcher(), world.fetcher()
    await other.start(TOPIC)
    await broken.stream.send(b"\x0a\x7f\x08")
    with pytest.raises(RpcError) as error:
        while await broken.receive():
            pass
    assert error.value.status is Status.INVALID_ARGUMENT
    await fill(world.producer(), 1)
    assert await other.until_values(1) == [b"0"]


@simulated
async def test_after_a_half_close_what_is_there_is_sent_and_the_stream_ends(world: World) -> None:
    await world.start()
    values = await fill(world.producer(), 3)
    fetcher = world.fetcher()
    await fetcher.start(TOPIC)
    await fetcher.stream.half_close()
    while await fetcher.receive():
        pass
    assert fetcher.values() == values


@simulated
async def test_readers_that_went_away_leave_nothing_behind(world: World) -> None:
    await world.start()
    fetcher = world.fetcher()
    await fetcher.start(TOPIC)
    await fetcher.receive()
    (partition,) = world.broker.partitions
    assert partition.readers == 1
    fetcher.stream.cancel()
    await world.until(lambda: partition.readers == 0)


@simulated
async def test_a_broken_disk_ends_the_subscription_with_its_reason(world: World) -> None:
    await world.start()
    await fill(world.producer(), 3)
    world.disk.cached = False
    world.disk.fail("read", under=DATA)
    fetcher = world.fetcher()
    await fetcher.start(TOPIC)
    assert (await fetcher.until_error()).error.code == errors_pb2.STORAGE_FAILED

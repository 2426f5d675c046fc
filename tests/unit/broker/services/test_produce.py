"""What producers can rely on, and what becomes of what they do wrong."""

from __future__ import annotations

import asyncio
import errno
import tracemalloc
from typing import Any
from unittest import mock

import pytest

from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.services.limits import RESULT_BYTES, UNREAD_ANSWERS_S
from streamkeep_broker.services.produce import PendingResult, ProduceStream
from streamkeep_common.errors import StreamkeepError
from streamkeep_common.limits import MIB
from streamkeep_common.records import Codec
from streamkeep_common.records.frame import produced_values, records_crc
from streamkeep_common.seams import RpcError, Status
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.broker_pb2 import ProduceRequest
from streamkeep_proto.v1.records_pb2 import RecordBatch
from tests.unit.broker.clients import item, make_batch
from tests.unit.broker.world import TOPIC, World, simulated

OTHER_TOPIC = b"nobody-knows-it!"


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


def changed(**fields: int | bytes) -> RecordBatch:
    """A good batch of two records with something wrong about it."""
    batch = make_batch([b"a", b"b"])
    for name, value in fields.items():
        setattr(batch, name, value)
    return batch


BAD_BATCHES = {
    "wrong checksum": (changed(records_crc32c=1), errors_pb2.CORRUPT_BATCH),
    "bytes changed on the way": (changed(records=b"\x12\x01a\x12\x01c"), errors_pb2.CORRUPT_BATCH),
    "counts that do not agree": (changed(record_count=3, last_offset_delta=2), errors_pb2.CORRUPT_BATCH),
    "no records": (changed(record_count=0), errors_pb2.INVALID_BATCH),
    "offsets that are not dense": (changed(last_offset_delta=5), errors_pb2.INVALID_BATCH),
    "unknown codec": (changed(attributes=7), errors_pb2.UNKNOWN_CODEC),
    "no producer": (changed(producer_id=0), errors_pb2.INVALID_BATCH),
    "stamped by the client": (changed(base_offset=9), errors_pb2.INVALID_BATCH),
    "a day ahead": (make_batch([b"a"], timestamp_ms=1_700_086_400_000), errors_pb2.INVALID_TIMESTAMP),
    "too large": (make_batch([b"x" * 2000]), errors_pb2.BATCH_TOO_LARGE),
}


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_a_bad_batch_is_refused_with_its_reason_and_the_stream_goes_on(name: str) -> None:
    @simulated
    async def scenario(world: World) -> None:
        await world.start(max_batch_bytes="1024")
        producer = world.producer()
        batch, code = BAD_BATCHES[name]
        (refused,) = await producer.produce(item(TOPIC, batch))
        assert refused.error.code == code
        assert refused.error.message
        assert refused.base_offset == -1
        (good,) = await producer.produce(item(TOPIC, make_batch([b"a"])))
        assert good.base_offset == 0

    scenario()


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.NONE])
def test_a_decompression_bomb_is_refused(codec: Codec) -> None:
    @simulated
    async def scenario(world: World) -> None:
        await world.start()
        bomb = make_batch([bytes(32 * 1024 * 1024)], codec=codec)
        bomb.records = bomb.records * 3 if codec in (Codec.GZIP, Codec.ZSTD, Codec.LZ4) else bomb.records[:-9]
        (result,) = await world.producer().produce(item(TOPIC, bomb))
        assert result.error.code in (errors_pb2.INVALID_BATCH, errors_pb2.CORRUPT_BATCH)

    scenario()


@simulated
async def test_truncated_protobuf_ends_its_stream_and_no_other(world: World) -> None:
    await world.start()
    other, broken = world.producer(), world.producer()
    await other.produce(item(TOPIC, make_batch([b"a"])))
    whole = ProduceRequest(request_id=1, batches=[item(TOPIC, make_batch([b"x"]))]).SerializeToString()
    await broken.stream.send(whole[:-3])
    with pytest.raises(RpcError) as error:
        while await broken.receive():
            pass
    assert error.value.status is Status.INVALID_ARGUMENT
    (result,) = await other.produce(item(TOPIC, make_batch([b"b"], sequence=1)))
    assert result.base_offset == 1


@simulated
async def test_a_request_with_too_many_partitions_ends_its_stream(world: World) -> None:
    await world.start()
    producer = world.producer()
    await producer.send(*[item(b"", None) for _ in range(10_001)])
    with pytest.raises(RpcError, match="at most 10000"):
        while await producer.receive():
            pass


@simulated
async def test_a_refused_batch_is_not_kept_as_it_was_opened_while_it_waits_for_its_turn(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "60000"})
    producer = world.producer()
    bomb = make_batch([bytes(40 * MIB)], codec=Codec.ZSTD)
    bomb.records *= 2
    bomb.records_crc32c = records_crc(produced_values(bomb), bomb.records)
    world.machine.workers.stall()
    tracemalloc.start()
    try:
        await producer.send(item(TOPIC, make_batch([b"a"])), item(TOPIC, bomb))
        await producer.receive()
        assert not producer.results
        assert tracemalloc.get_traced_memory()[0] < MIB
    finally:
        tracemalloc.stop()


@simulated
async def test_a_batch_without_a_partition_is_not_kept_by_its_refusal(world: World) -> None:
    """The frames that an error came through hold the request."""
    await world.start()
    refusals: list[StreamkeepError | None] = []
    answer = ProduceStream.answer

    def note(stream: ProduceStream, pending: PendingResult) -> None:
        refusals.append(pending.error)
        answer(stream, pending)

    with mock.patch.object(ProduceStream, "answer", note):
        await world.producer().produce(item(b"?" * 16, make_batch([b"a"])))
    (refusal,) = refusals
    assert refusal is not None
    assert refusal.__traceback__ is None


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


# --- idempotence ---


@simulated
async def test_a_batch_sent_twice_is_stored_once_and_answered_alike(world: World) -> None:
    await world.start()
    producer = world.producer()
    batch = make_batch([b"a", b"b"])
    (first,) = await producer.produce(item(TOPIC, batch))
    (second,) = await producer.produce(item(TOPIC, batch))
    assert (first.base_offset, first.append_time_ms) == (second.base_offset, second.append_time_ms)
    (third,) = await producer.produce(item(TOPIC, make_batch([b"c"], sequence=2)))
    assert third.base_offset == 2


@simulated
async def test_a_duplicate_is_not_answered_before_the_original_is_safe(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "60000"})
    first, second = world.producer(), world.producer()
    world.machine.workers.stall()
    await first.send(item(TOPIC, make_batch([b"a"])))
    await first.receive()
    await second.send(item(TOPIC, make_batch([b"a"])))
    await second.receive()
    await second.receive()
    assert second.results == []
    world.machine.workers.resume()
    assert (await second.until(1))[0].base_offset == 0


@simulated
async def test_a_gap_an_old_epoch_and_an_unknown_producer_are_refused(world: World) -> None:
    await world.start()
    producer = world.producer()
    await producer.produce(item(TOPIC, make_batch([b"a"], producer_epoch=1)))
    refused = {
        "gap": make_batch([b"b"], sequence=5, producer_epoch=1),
        "old epoch": make_batch([b"b"], sequence=1, producer_epoch=0),
        "unknown": make_batch([b"b"], sequence=1, producer_id=99),
    }
    codes = {
        name: (await producer.produce(item(TOPIC, batch)))[0].error.code for name, batch in refused.items()
    }
    assert codes == {
        "gap": errors_pb2.OUT_OF_ORDER_SEQUENCE,
        "old epoch": errors_pb2.PRODUCER_FENCED,
        "unknown": errors_pb2.UNKNOWN_PRODUCER,
    }


@pytest.mark.parametrize("end", ["stop_broker", "kill_broker", "cut_power"])
def test_a_duplicate_is_known_after_a_restart(end: str) -> None:
    @simulated
    async def scenario(world: World) -> None:
        await world.start()
        batches = [make_batch([b"a"], sequence=number) for number in range(3)]
        for batch in batches:
            await world.producer().produce(item(TOPIC, batch))
        ended = getattr(world, end)()
        if ended is not None:
            await ended
        await world.start_broker()
        await world.hosted(1)
        producer = world.producer()
        offsets = [(await producer.produce(item(TOPIC, batch)))[0].base_offset for batch in batches]
        assert offsets == [0, 1, 2]
        (new,) = await producer.produce(item(TOPIC, make_batch([b"b"], sequence=3)))
        assert new.base_offset == 3

    scenario()


# --- order, leadership, silence ---


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
async def test_losing_the_leadership_answers_all_that_wait(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "60000"})
    producer = world.producer()
    world.machine.workers.stall()
    await producer.send(item(TOPIC, make_batch([b"a"])))
    await producer.send(item(TOPIC, make_batch([b"b"], sequence=1)))
    await producer.receive()
    world.coordinator.change_leader(TOPIC, 0, leader=0)
    await producer.until(2)
    assert [result.error.code for result in producer.results] == [errors_pb2.NOT_LEADER] * 2
    world.machine.workers.resume()


@simulated
async def test_a_client_with_another_leader_epoch_is_told_so(world: World) -> None:
    await world.start()
    world.coordinator.change_leader(TOPIC, 0, leader=1)
    await world.until(lambda: all(partition.leader_epoch == 2 for partition in world.broker.partitions))
    producer = world.producer()
    (old,) = await producer.produce(item(TOPIC, make_batch([b"a"]), leader_epoch=1))
    (new,) = await producer.produce(item(TOPIC, make_batch([b"a"]), leader_epoch=3))
    (right,) = await producer.produce(item(TOPIC, make_batch([b"a"]), leader_epoch=2))
    assert old.error.code == errors_pb2.FENCED_LEADER_EPOCH
    assert old.error.leader.leader_epoch == 2
    assert new.error.code == errors_pb2.UNKNOWN_LEADER_EPOCH
    assert right.base_offset == 0


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
async def test_a_broker_that_hears_no_coordinator_says_that_its_leadership_is_unconfirmed(
    world: World,
) -> None:
    await world.start()
    producer = world.producer()
    await producer.produce(item(TOPIC, make_batch([b"a"])))
    assert not producer.unconfirmed
    await world.coordinator.stop()
    while not producer.unconfirmed:
        await producer.receive()
    (result,) = await producer.produce(item(TOPIC, make_batch([b"b"], sequence=1)))
    assert result.base_offset == 1
    await world.coordinator.start("coordinator:7101")
    while producer.unconfirmed:
        await producer.receive()


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


# --- bounds ---


@simulated
async def test_more_refusals_than_fit_into_a_message_come_in_several(world: World) -> None:
    await world.start()
    producer = world.producer()
    for _ in range(3):
        await producer.send(*[item(OTHER_TOPIC, make_batch([b"a"]), partition=n) for n in range(9_000)])
    await producer.stream.half_close()
    while await producer.receive():
        pass
    assert len(producer.results) == 27_000


@simulated
async def test_a_client_that_never_reads_its_answers_is_read_no_more(world: World) -> None:
    await world.start(durability="os")
    limit = 64 * 1024
    world.broker.budget.limit_bytes = world.broker.budget.stream_limit_bytes = limit
    silent = world.producer()
    sent = 0

    async def send_for_ever() -> None:
        nonlocal sent
        while True:
            await silent.send(item(OTHER_TOPIC * 4000, make_batch([b"a"], sequence=sent)))
            sent += 1

    sending = world.client.spawn(send_for_ever())
    await world.client.clock.sleep(20)
    stuck_at = sent
    await world.client.clock.sleep(20)
    assert sent == stuck_at, "it was read on and on"
    assert limit <= world.broker.budget.used_bytes <= limit + 2 * 64_000 + 2 * RESULT_BYTES
    sending.cancel()
    silent.stream.cancel()
    await world.until(lambda: world.broker.budget.used_bytes == 0)
    (result,) = await world.producer().produce(item(TOPIC, make_batch([b"b"], producer_id=2)))
    assert not result.HasField("error")


@simulated
async def test_a_client_that_never_reads_its_answers_does_not_keep_others_out_for_ever(world: World) -> None:
    await world.start(durability="os")
    world.broker.budget.limit_bytes = world.broker.budget.stream_limit_bytes = 64 * 1024
    silent = world.producer()

    async def send_for_ever() -> None:
        for sequence in range(1_000_000):
            await silent.send(item(OTHER_TOPIC * 4000, make_batch([b"a"], sequence=sequence)))

    sending = world.client.spawn(send_for_ever())
    await world.client.clock.sleep(20)
    async with asyncio.timeout(UNREAD_ANSWERS_S):
        (result,) = await world.producer().produce(item(TOPIC, make_batch([b"b"], producer_id=2)))
    assert not result.HasField("error")
    with pytest.raises(RpcError):
        await sending


@simulated
async def test_two_hundred_fast_clients_stay_within_the_budget_and_all_get_through(world: World) -> None:
    limit, size = 16 * 1024 * 1024, 128 * 1024
    await world.start(
        broker={"max_in_flight_bytes": str(limit), "max_connection_in_flight_bytes": str(limit)}
    )
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, world.broker.budget.used_bytes)

    world.simulation.loop.after_step = lambda _process: look()
    producers = [world.producer() for _ in range(200)]
    for number, producer in enumerate(producers):
        for sequence in range(4):
            batch = make_batch([bytes(size)], sequence=sequence, producer_id=number + 1)
            await producer.send(item(TOPIC, batch))
    for producer in producers:
        assert not any(result.HasField("error") for result in await producer.until(4))
    assert most <= limit + 200 * (size + 1024 + RESULT_BYTES)
    assert most > 0
    assert world.broker.budget.used_bytes == 0


@simulated
async def test_room_that_was_offered_to_an_idle_client_is_found_by_one_that_has_something_to_say(
    world: World,
) -> None:
    await world.start(durability="os")
    budget = world.broker.budget
    stuck, busy = budget.open_stream(lambda: None), budget.open_stream(lambda: None)
    stuck.charge(budget.limit_bytes * 3 // 4)
    busy.charge(budget.limit_bytes)
    _idle = world.producer()
    await world.client.clock.sleep(0.1)
    talkative = world.producer()
    await world.client.clock.sleep(0.1)
    busy.release(budget.limit_bytes)
    async with asyncio.timeout(1):
        (result,) = await talkative.produce(item(TOPIC, make_batch([b"a"])))
    assert not result.HasField("error")


# --- disks ---


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

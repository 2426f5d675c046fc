"""ListOffsets, DeleteRecords, InitProducer and DescribeLogDirs."""

from __future__ import annotations

import pytest

from streamkeep_common.errors import NotActiveError
from streamkeep_common.methods import (
    DELETE_RECORDS,
    DESCRIBE_LOG_DIRS,
    DESCRIBE_PRODUCERS,
    INIT_PRODUCER,
    LIST_OFFSETS,
)
from streamkeep_common.seams import RpcError, Status
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.broker_pb2 import (
    BY_TIMESTAMP,
    EARLIEST,
    LATEST,
    MAX_TIMESTAMP,
    ONLINE,
    DeletedRecords,
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DescribeLogDirsRequest,
    DescribeProducersRequest,
    InitProducerRequest,
    ListedOffset,
    ListOffsetsPartition,
    ListOffsetsRequest,
)
from tests.unit.broker.clients import NOW_MS, item, make_batch
from tests.unit.broker.world import TOPIC, World, simulated


async def list_offset(world: World, position: int, **fields: int | bytes) -> ListedOffset:
    asked = ListOffsetsPartition(**({"topic_id": TOPIC, "position": position} | fields))
    response = await world.channel().call(LIST_OFFSETS, ListOffsetsRequest(partitions=[asked]), timeout_s=5)
    return response.offsets[0]


async def delete(world: World, before_offset: int, *, topic_id: bytes = TOPIC) -> DeletedRecords:
    asked = DeleteRecordsPartition(topic_id=topic_id, before_offset=before_offset)
    response = await world.channel().call(
        DELETE_RECORDS, DeleteRecordsRequest(partitions=[asked]), timeout_s=5
    )
    return response.partitions[0]


async def produce_at(world: World, *timestamps_ms: int) -> None:
    producer = world.producer()
    for number, timestamp_ms in enumerate(timestamps_ms):
        await producer.produce(item(TOPIC, make_batch([b"x"], sequence=number, timestamp_ms=timestamp_ms)))


@simulated
async def test_first_last_by_time_and_greatest_time_are_found(world: World) -> None:
    await world.start()
    await produce_at(world, NOW_MS + 10, NOW_MS + 30, NOW_MS + 20)
    assert (await list_offset(world, EARLIEST)).offset == 0
    assert (await list_offset(world, LATEST)).offset == 3
    found = await list_offset(world, BY_TIMESTAMP, timestamp_ms=NOW_MS + 15)
    assert (found.offset, found.timestamp_ms, found.leader_epoch) == (1, NOW_MS + 30, 1)
    assert (await list_offset(world, MAX_TIMESTAMP)).offset == 1
    assert (await list_offset(world, BY_TIMESTAMP, timestamp_ms=NOW_MS + 31)).offset == -1


@simulated
async def test_an_empty_partition_begins_and_ends_at_zero(world: World) -> None:
    await world.start()
    assert (await list_offset(world, EARLIEST)).offset == 0
    assert (await list_offset(world, LATEST)).offset == 0
    assert (await list_offset(world, MAX_TIMESTAMP)).offset == -1


@simulated
async def test_each_item_has_its_own_outcome(world: World) -> None:
    await world.start()
    assert (await list_offset(world, LATEST, topic_id=b"?" * 16)).error.code == errors_pb2.UNKNOWN_TOPIC
    assert (await list_offset(world, LATEST, partition=4)).error.code == errors_pb2.UNKNOWN_PARTITION
    assert (await list_offset(world, LATEST, leader_epoch=9)).error.code == errors_pb2.UNKNOWN_LEADER_EPOCH
    assert (await list_offset(world, 17)).error.code == errors_pb2.INVALID_REQUEST


@simulated
async def test_a_new_leader_says_the_last_offset_only_when_it_knows(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "60000"})
    world.machine.workers.stall()
    await world.producer().send(item(TOPIC, make_batch([b"unsafe"])))
    (partition,) = world.broker.partitions
    await world.until(lambda: partition.log.log_end_offset == 1)
    world.coordinator.change_leader(TOPIC, 0, leader=1)
    await world.until(lambda: partition.leader_epoch == 2)
    assert (await list_offset(world, LATEST)).error.code == errors_pb2.OFFSET_NOT_AVAILABLE
    world.machine.workers.resume()
    await world.until(lambda: partition.high_watermark == 1)
    assert (await list_offset(world, LATEST)).offset == 1


@simulated
async def test_deleted_records_are_gone_at_once_and_stay_gone(world: World) -> None:
    await world.start()
    await produce_at(world, *[NOW_MS] * 6)
    assert (await delete(world, 4)).log_start_offset == 4
    assert (await list_offset(world, EARLIEST)).offset == 4
    assert (await delete(world, 2)).log_start_offset == 4, "a log start never goes back"
    await world.stop_broker()
    await world.start_broker()
    await world.hosted(1)
    assert (await list_offset(world, EARLIEST)).offset == 4
    assert (await delete(world, -1)).log_start_offset == 6


@simulated
async def test_records_past_the_high_watermark_cannot_be_deleted(world: World) -> None:
    await world.start()
    await produce_at(world, NOW_MS)
    assert (await delete(world, 2)).error.code == errors_pb2.OFFSET_OUT_OF_RANGE
    assert (await delete(world, -7)).error.code == errors_pb2.OFFSET_OUT_OF_RANGE
    assert (await delete(world, 0, topic_id=b"?" * 16)).error.code == errors_pb2.UNKNOWN_TOPIC


@simulated
async def test_too_many_partitions_in_a_request_are_refused(world: World) -> None:
    await world.start()
    request = ListOffsetsRequest(partitions=[ListOffsetsPartition()] * 10_001)
    with pytest.raises(RpcError, match="at most 10000") as error:
        await world.channel().call(LIST_OFFSETS, request, timeout_s=5)
    assert error.value.status is Status.INVALID_ARGUMENT


@simulated
async def test_producer_ids_are_never_given_twice_and_come_in_blocks(world: World) -> None:
    await world.start()
    channel = world.channel()
    ids = [
        (await channel.call(INIT_PRODUCER, InitProducerRequest(), timeout_s=5)).producer_id for _ in range(7)
    ]
    assert ids == list(range(1, 8))
    await world.stop_broker()
    await world.start_broker()
    response = await world.channel().call(INIT_PRODUCER, InitProducerRequest(), timeout_s=5)
    assert response.producer_id == 10, "what was left of a block is not given out again"


@simulated
async def test_without_a_coordinator_no_producer_id_is_given_and_the_reason_is_said(world: World) -> None:
    await world.start()
    world.coordinator.allocate_error = NotActiveError("ask another")
    response = await world.channel().call(INIT_PRODUCER, InitProducerRequest(), timeout_s=5)
    assert response.error.code == errors_pb2.NOT_ACTIVE
    await world.coordinator.stop()
    await world.client.clock.sleep(1)
    response = await world.channel().call(INIT_PRODUCER, InitProducerRequest(), timeout_s=5)
    assert response.error.code == errors_pb2.UNAVAILABLE


@simulated
async def test_log_directories_are_described_with_what_lies_in_them(world: World) -> None:
    await world.start(partitions=3, broker={"data_dirs": "/one,/two"})
    await world.producer().produce(item(TOPIC, make_batch([b"a"]), partition=1))
    response = await world.channel().call(DESCRIBE_LOG_DIRS, DescribeLogDirsRequest(), timeout_s=5)
    assert [directory.path for directory in response.dirs] == ["/one", "/two"]
    assert [[r.partition for r in directory.replicas] for directory in response.dirs] == [[0, 2], [1]]
    (replica,) = response.dirs[1].replicas
    assert (replica.topic, replica.high_watermark, replica.log_end_offset) == ("flights", 1, 1)
    assert replica.size_bytes > 100
    assert response.dirs[0].state == ONLINE
    assert len(response.dirs[0].directory_id) == 16


@simulated
async def test_a_partition_tells_who_has_written_to_it_and_who_did_so_last(world: World) -> None:
    await world.start()
    first, second = world.producer(), world.producer()
    await first.produce(item(TOPIC, make_batch([b"a"], producer_id=7)))
    await second.produce(item(TOPIC, make_batch([b"b", b"c"], producer_id=8)))
    call = world.channel().call
    told = await call(DESCRIBE_PRODUCERS, DescribeProducersRequest(topic_id=TOPIC), timeout_s=5)
    assert [(each.producer_id, each.last_sequence, each.last_offset) for each in told.producers] == [
        (8, 1, 2),
        (7, 0, 0),
    ]
    assert told.total == 2 and all(each.last_append_time_ms > 0 for each in told.producers)
    stale = DescribeProducersRequest(topic_id=TOPIC, leader_epoch=9)
    refused = await call(DESCRIBE_PRODUCERS, stale, timeout_s=5)
    assert refused.error.code == errors_pb2.UNKNOWN_LEADER_EPOCH

"""A client made from the protos alone, as one in another language would be: stock stubs, its own checksums.

It uses nothing of the SDK or of `streamkeep_common`; what it knows stands in the protos' comments.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from pathlib import Path

import grpc.aio
import pytest
from crc32c import crc32c

from streamkeep_proto.v1 import broker_pb2, broker_pb2_grpc, coordinator_pb2, coordinator_pb2_grpc
from streamkeep_proto.v1.records_pb2 import RecordBatch, Records
from tests.integration.cluster import Cluster

pytestmark = pytest.mark.process

GZIP = 1
TIME_MS = 1_700_000_000_000


def producer_crc(batch: RecordBatch) -> int:
    """Over the 44 little-endian bytes of the values of fields 6-13, then the records."""
    values = (batch.attributes, batch.last_offset_delta, batch.record_count)
    values += (batch.base_timestamp_ms, batch.max_timestamp_ms, batch.producer_id)
    values += (batch.producer_epoch, batch.base_sequence)
    return crc32c(struct.pack("<3I3q2i", *values) + batch.records)


def header_crc(batch: RecordBatch) -> int:
    """Over the 72 little-endian bytes of the values of fields 1-4 and 6-14."""
    stamped = struct.pack(
        "<qiIq", batch.base_offset, batch.leader_epoch, batch.leader_flags, batch.append_time_ms
    )
    values = (batch.attributes, batch.last_offset_delta, batch.record_count)
    values += (batch.base_timestamp_ms, batch.max_timestamp_ms, batch.producer_id)
    values += (batch.producer_epoch, batch.base_sequence, batch.records_crc32c)
    return crc32c(stamped + struct.pack("<3I3q2iI", *values))


def make_batch(producer_id: int, sequence: int, values: list[bytes]) -> RecordBatch:
    packer = zlib.compressobj(wbits=31)
    records = packer.compress(Records(values=values).SerializeToString()) + packer.flush()
    batch = RecordBatch(
        attributes=GZIP,
        last_offset_delta=len(values) - 1,
        record_count=len(values),
        base_timestamp_ms=TIME_MS,
        max_timestamp_ms=TIME_MS,
        producer_id=producer_id,
        base_sequence=sequence,
        records=records,
    )
    batch.records_crc32c = producer_crc(batch)
    return batch


async def create_topic(coordinator: grpc.aio.Channel) -> coordinator_pb2.TopicInfo:
    admin = coordinator_pb2_grpc.AdminServiceStub(coordinator)
    new = coordinator_pb2.NewTopic(name="foreign", partitions=1)
    created = await admin.CreateTopics(coordinator_pb2.CreateTopicsRequest(topics=[new]))
    assert not created.outcomes[0].error.code
    metadata = coordinator_pb2_grpc.MetadataServiceStub(coordinator)
    answer = await metadata.GetMetadata(coordinator_pb2.GetMetadataRequest(names=["foreign"]))
    return answer.topics[0]


async def until_led(broker: broker_pb2_grpc.BrokerServiceStub, topic_id: bytes) -> None:
    """The broker has heard of the topic: a coordinator answers before brokers have followed."""
    wanted = broker_pb2.ListOffsetsPartition(topic_id=topic_id, position=broker_pb2.LATEST)
    request = broker_pb2.ListOffsetsRequest(partitions=[wanted])
    async with asyncio.timeout(30):
        while (await broker.ListOffsets(request, wait_for_ready=True)).offsets[0].error.code:
            await asyncio.sleep(0.01)


async def produce(broker: broker_pb2_grpc.BrokerServiceStub, topic_id: bytes) -> list[tuple[int, int]]:
    """Two batches of 100 records on one stream; returns (request id, base offset) of the answers."""
    producer = await broker.InitProducer(broker_pb2.InitProducerRequest())
    call = broker.Produce()
    for number in range(2):
        values = [b"record %d" % (number * 100 + index) for index in range(100)]
        batch = make_batch(producer.producer_id, number * 100, values)
        item = broker_pb2.PartitionBatch(topic_id=topic_id, batch=batch)
        await call.write(broker_pb2.ProduceRequest(request_id=number + 1, batches=[item]))
    answers: list[tuple[int, int]] = []
    while len(answers) < 2:
        response = await call.read()
        for result in response.results:
            assert not result.error.code, result.error
            answers.append((result.request_id, result.base_offset))
    await call.done_writing()
    return answers


async def fetch(broker: broker_pb2_grpc.BrokerServiceStub, topic_id: bytes, count: int) -> list[bytes]:
    call = broker.Fetch()
    start = broker_pb2.FetchStart(subscription=1, topic_id=topic_id, credit_bytes=1 << 20)
    await call.write(broker_pb2.FetchRequest(start=[start]))
    values: list[bytes] = []
    while len(values) < count:
        for part in (await call.read()).partitions:
            assert part.subscription == 1 and not part.error.code, part.error
            for batch in part.data.batches:
                assert batch.base_offset == len(values)
                assert batch.header_crc32c == header_crc(batch)
                assert batch.records_crc32c == producer_crc(batch)
                values += Records.FromString(zlib.decompress(batch.records, wbits=31)).values
    call.cancel()
    return values


async def test_a_client_made_from_the_protos_alone_produces_and_consumes(tmp_path: Path) -> None:
    async with Cluster(tmp_path, brokers=1) as cluster:
        async with grpc.aio.insecure_channel(cluster.bootstrap) as coordinator:
            topic = await create_topic(coordinator)
        async with grpc.aio.insecure_channel(cluster.brokers[1].address) as channel:
            broker = broker_pb2_grpc.BrokerServiceStub(channel)
            await until_led(broker, topic.topic_id)
            assert await produce(broker, topic.topic_id) == [(1, 0), (2, 100)]
            values = await fetch(broker, topic.topic_id, 200)
            assert values == [b"record %d" % number for number in range(200)]

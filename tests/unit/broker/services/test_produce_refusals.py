"""What becomes of what producers do wrong: it is refused with its reason, harms nobody and is not kept."""

from __future__ import annotations

import tracemalloc
from unittest import mock

import pytest

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

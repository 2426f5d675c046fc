"""Which types the SDK says things have. `make check` reads this with mypy --strict; running it says less."""

from __future__ import annotations

from typing import Any, assert_type

from streamkeep import (
    Client,
    ConsumedBatch,
    Consumer,
    ConsumerInterceptor,
    Producer,
    ProducerInterceptor,
    Record,
)
from streamkeep.serializers import INT, JSON, STR
from streamkeep.serializers.protobuf import ProtobufSerializer
from streamkeep_proto.v1.errors_pb2 import LeaderHint


def takes_plain(producer: Producer, consumer: Consumer, record: Record, batch: ConsumedBatch) -> None:
    """Names alone mean bytes, as they did before keys and values had types."""
    assert_type(producer, Producer[bytes, bytes])
    assert_type(consumer, Consumer[bytes, bytes])
    assert_type(record.value, bytes | None)
    assert_type(batch, ConsumedBatch[bytes, bytes])


async def reads(consumer: Consumer[str, int]) -> None:
    """What is read has the types of the serializers, or is None."""
    async for record in consumer:
        assert_type(record, Record[str, int])
        assert_type(record.key, str | None)
        assert_type(record.value, int | None)
    async for batch in consumer.batches():
        assert_type(batch.records(), list[Record[str, int]])
    async for record in consumer.records(until={("t", 0): 1}):
        assert_type(record.value, int | None)


async def writes(producer: Producer[str, int]) -> None:
    """What the serializers cannot write is refused before the program runs."""
    await producer.send("t", 1, key="k")
    await producer.send("t", None)
    await producer.send("t", b"1", key="k")  # type: ignore[arg-type]
    producer.send_nowait("t", 1, key=b"k")  # type: ignore[arg-type]
    await producer.send_many("t", [1, None], keys=["k", None])
    await producer.send_many("t", ["1"])  # type: ignore[list-item]


async def test_producers_and_consumers_have_the_types_of_their_serializers() -> None:
    async with Client("127.0.0.1:1") as client:
        plain = Producer(client, linger_ms=0, interceptors=[ProducerInterceptor()])
        assert_type(plain, Producer[bytes, bytes])
        assert_type(Producer(client, key_serializer=STR), Producer[str, bytes])
        assert_type(Producer(client, value_serializer=JSON), Producer[bytes, Any])
        assert_type(Producer(client, key_serializer=STR, value_serializer=INT), Producer[str, int])
        hints = ProtobufSerializer(LeaderHint)
        assert_type(Producer(client, value_serializer=hints, linger_ms=0), Producer[bytes, LeaderHint])
        assert_type(Consumer(client, interceptors=[ConsumerInterceptor()]), Consumer[bytes, bytes])
        assert_type(Consumer(client, key_serializer=INT), Consumer[int, bytes])
        assert_type(Consumer(client, value_serializer=STR, rack="east"), Consumer[bytes, str])
        assert_type(Consumer(client, key_serializer=INT, value_serializer=STR), Consumer[int, str])


async def test_a_type_without_its_serializer_is_refused_by_the_type_checker() -> None:
    async with Client("127.0.0.1:1") as client:
        producer: Producer[str, str] = Producer(client)  # type: ignore[assignment]
        consumer: Consumer[str, str] = Consumer(client)  # type: ignore[assignment]
        del producer, consumer

"""Keys and values of types: what is encoded and decoded, and what happens to what cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from streamkeep import Client, Consumer, Producer
from streamkeep.errors import BatchTooLargeError, BufferFullError, RecordDecodeError, RecordEncodeError
from streamkeep.serializers import INT, JSON, STR
from streamkeep_common.partitioning import murmur2
from tests.unit.sdk.world import World, in_world

BAD = b"\xff"
P0 = ("t", 0)


async def produce(client: Client, values: list[bytes], *, keys: list[bytes] | None = None) -> None:
    async with Producer(client) as producer:
        await (await producer.send_many("t", values, keys=keys, partition=0))


async def drain(consumer: Consumer[Any, Any], end: int) -> list[Any]:
    """All values up to an offset, and the offsets of what could not be read."""
    seen: list[Any] = []
    while consumer.position(P0) < end:
        try:
            async for record in consumer:
                seen.append(record.value)
                if consumer.position(P0) == end:
                    break
        except RecordDecodeError as error:
            seen.append(error.offset)
    return seen


class Shouting:
    """Stands for a user's own serializer of bytes."""

    name = "shouting"

    def encode(self, value: bytes) -> bytes:
        return value.upper()

    def decode(self, data: bytes) -> bytes:
        return data.lower()


def test_keys_and_values_come_back_as_they_were_sent() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client:
            async with Producer(client, key_serializer=INT, value_serializer=JSON) as producer:
                await producer.partitions_for("t")
                await producer.send("t", {"n": 1}, key=1)
                producer.send_nowait("t", [2], headers={"h": b"1"})
                await producer.send("t", None, key=3)
                await (await producer.send_many("t", ["4", None], keys=[4, None], timestamps_ms=[4, 5]))
            assert log.values() == [b'{"n":1}', b"[2]", None, b'"4"', None]
            async with Consumer(client, key_serializer=INT, value_serializer=JSON) as consumer:
                await consumer.assign([P0])
                records = [await anext(consumer) for _ in range(5)]
            assert [r.value for r in records] == [{"n": 1}, [2], None, "4", None]
            assert [r.key for r in records] == [1, None, 3, 4, None]
            assert list(records[1].headers) == [("h", b"1")] and records[4].timestamp_ms == 5

    in_world(story)


def test_a_serializer_of_bytes_is_asked_for_each_record_too() -> None:
    """Those records look like plain ones, whose way into an open batch is shorter."""

    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client:
            async with Producer(client, value_serializer=Shouting()) as producer:
                for value in (b"a", b"b", b"c"):
                    await producer.send("t", value)
                    await producer.send("t", value, key=b"k")
                    producer.send_nowait("t", value)
            assert log.values() == [b"A"] * 3 + [b"B"] * 3 + [b"C"] * 3
            async with Consumer(client, value_serializer=Shouting()) as consumer:
                await consumer.assign([P0])
                assert (await anext(consumer)).value == b"a"

    in_world(story)


def test_the_partition_is_chosen_by_the_encoded_key() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t", partitions=10)
        async with world.client() as client, Producer(client, key_serializer=INT) as producer:
            for key in range(20):
                expected = (murmur2(INT.encode(key)) & 0x7FFFFFFF) % 10
                assert (await (await producer.send("t", b"v", key=key))).partition == expected
                many = await producer.send_many("t", [b"v"], keys=[key])
                await many
                assert many[0].result().partition == expected

    in_world(story)


def test_what_cannot_be_encoded_is_refused_before_anything_of_it_is_buffered() -> None:
    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with (
            world.client() as client,
            Producer(client, key_serializer=STR, value_serializer=JSON) as producer,
        ):
            await producer.partitions_for("t")
            with pytest.raises(RecordEncodeError, match=r"value of a record for 't' .* json") as refused:
                await producer.send("t", {1, 2})
            assert (refused.value.topic, refused.value.field) == ("t", "value")
            assert isinstance(refused.value, ValueError) and isinstance(refused.value.__cause__, TypeError)
            with pytest.raises(RecordEncodeError) as refused:
                producer.send_nowait("t", 1, key="\ud800")
            assert refused.value.field == "key"
            with pytest.raises(RecordEncodeError) as refused:
                await producer.send_many("t", [1, 2, {3}])
            assert refused.value.index == 2
            assert producer.metrics().buffer_used_bytes == 0
        assert log.values() == []

    in_world(story)


def test_a_serializer_that_returns_nothing_does_not_make_a_tombstone() -> None:
    class Forgetful(Shouting):
        def encode(self, value: bytes) -> bytes:
            return None  # type: ignore[return-value]

    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Producer(client, value_serializer=Forgetful()) as producer:
            with pytest.raises(RecordEncodeError, match="NoneType instead of bytes"):
                await producer.send("t", b"v")

    in_world(story)


def test_records_of_types_meet_the_same_bounds() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with (
            world.client() as client,
            Producer(client, value_serializer=STR, batch_bytes=100, buffer_bytes=100) as producer,
        ):
            with pytest.raises(BufferFullError, match="not known"):
                producer.send_nowait("t", "v")
            await producer.partitions_for("t")
            with pytest.raises(BatchTooLargeError):
                await producer.send("t", "v" * 200)
            producer.send_nowait("t", "v" * 90)
            with pytest.raises(BufferFullError, match="in use"):
                producer.send_nowait("t", "v" * 90)
            assert (await (await producer.send("t", "v" * 90))).offset == 1

    in_world(story)


def test_a_record_that_cannot_be_decoded_is_stepped_over_and_no_other() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client, value_serializer=STR) as consumer:
            await produce(client, [b"a", b"b", BAD, b"d", BAD, BAD, b"g", BAD])
            await consumer.assign([P0])
            assert [(await anext(consumer)).value for _ in range(2)] == ["a", "b"]
            assert consumer.position(P0) == 2
            with pytest.raises(RecordDecodeError, match="t-0 at offset 2: the value is not str") as met:
                await anext(consumer)
            error = met.value
            assert (error.topic, error.partition, error.offset) == ("t", 0, 2)
            assert (error.field, error.data) == ("value", BAD)
            assert isinstance(error.__cause__, UnicodeDecodeError)
            assert consumer.position(P0) == 3
            assert await drain(consumer, 8) == ["d", 4, 5, "g", 7]
            assert consumer.metrics().records == 8 and consumer.metrics().records_undecodable == 4

    in_world(story)


def test_a_key_is_looked_at_before_its_value_and_the_first_bad_record_first() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with (
            world.client() as client,
            Consumer(client, key_serializer=STR, value_serializer=STR) as consumer,
        ):
            await produce(client, [BAD, b"b", BAD], keys=[b"k", BAD, BAD])
            await consumer.assign([P0])
            met = []
            for _ in range(3):
                with pytest.raises(RecordDecodeError) as error:
                    await anext(consumer)
                met.append((error.value.offset, error.value.field))
            assert met == [(0, "value"), (1, "key"), (2, "key")]

    in_world(story)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1_000])
def test_a_whole_topic_of_another_type_is_stepped_over_record_by_record(count: int) -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client, value_serializer=INT) as consumer:
            await produce(client, [b"x"] * count + [bytes(8)])
            await consumer.assign([P0])
            assert await drain(consumer, count + 1) == [*range(count), 0]

    in_world(story)


def test_batches_end_before_what_cannot_be_decoded_and_go_on_behind_it() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client, value_serializer=STR) as consumer:
            await produce(client, [b"a", b"b", BAD, b"d"])
            await consumer.assign([P0])
            seen: list[Any] = []
            while consumer.position(P0) < 4:
                try:
                    async for batch in consumer.batches(until={P0: 4}):
                        seen += batch.values
                except RecordDecodeError as error:
                    seen.append(error.offset)
            assert seen == ["a", "b", 2, "d"]

    in_world(story)


def test_what_lies_behind_an_end_is_not_decoded() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client, value_serializer=STR) as consumer:
            await produce(client, [b"a", b"b", BAD, b"d"])
            await consumer.assign([P0])
            assert [record.value async for record in consumer.records(until={P0: 2})] == ["a", "b"]
            with pytest.raises(RecordDecodeError):
                async for _ in consumer.records(until={P0: 4}):
                    raise AssertionError("nothing comes before the record that cannot be read")
            assert [record.value async for record in consumer.records(until={P0: 4})] == ["d"]

    in_world(story)


def test_ways_of_reading_may_change_within_a_decoded_batch() -> None:
    """What was decoded and not handed out is neither lost nor decoded again."""

    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        decoded: list[bytes] = []

        class Counting:
            name = "counting"

            def encode(self, value: str) -> bytes:
                return value.encode()

            def decode(self, data: bytes) -> str:
                decoded.append(data)
                return data.decode()

        async with world.client() as client, Consumer(client, value_serializer=Counting()) as consumer:
            await produce(client, [b"%d" % number for number in range(10)])
            await consumer.assign([P0])
            assert (await anext(consumer)).value == "0"
            consumer.pause(P0)
            consumer.resume(P0)
            assert (await anext(consumer)).value == "1"
            assert [r.value async for r in consumer.records(until={P0: 4})] == ["2", "3"]
            async for batch in consumer.batches(until={P0: 10}):
                assert list(batch.values) == [str(number) for number in range(4, 10)]
            assert len(decoded) == 10
            await consumer.seek(P0, 8)
            assert (await anext(consumer)).value == "8"

    in_world(story)


def test_a_serializer_with_a_bug_is_told_as_what_it_could_not_read() -> None:
    class Buggy(Shouting):
        def decode(self, data: bytes) -> bytes:
            raise KeyError

    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client, value_serializer=Buggy()) as consumer:
            await produce(client, [b"a"])
            await consumer.assign([P0])
            with pytest.raises(RecordDecodeError, match="KeyError"):
                await anext(consumer)
            assert consumer.position(P0) == 1

    in_world(story)


def test_one_of_keys_and_values_may_stay_bytes() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client, key_serializer=STR) as consumer:
            await produce(client, [b"a", BAD], keys=[b"k", b"l"])
            await consumer.assign([P0])
            batch = await anext(consumer.batches())
            assert (list(batch.values), batch.keys) == ([b"a", BAD], ["k", "l"])

    in_world(story)

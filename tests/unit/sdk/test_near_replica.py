"""Reading from a replica in the reader's rack: the leader names it, and takes over whenever it fails."""

from __future__ import annotations

import asyncio

from streamkeep import Consumer, Producer
from streamkeep.consumer.route import SHUN
from streamkeep_common.errors import NotLeaderError, OffsetOutOfRangeError, StreamkeepError
from tests.unit.sdk.world import World, in_world

LEADER, FOLLOWER = 1, 2


async def produce(world: World, *values: bytes) -> None:
    async with Producer(world.client()) as producer:
        for value in values:
            await (await producer.send("t", value))


async def read(consumer: Consumer, count: int) -> list[bytes | None]:
    values: list[bytes | None] = []
    async for record in consumer:
        values.append(record.value)
        if len(values) == count:
            break
    return values


def test_a_reader_with_a_rack_reads_from_the_replica_that_the_leader_names() -> None:
    async def scenario(world: World) -> None:
        world.cluster.create_topic("t")
        world.cluster.racks["east"] = FOLLOWER
        await produce(world, b"a", b"b")
        async with Consumer(world.client(), rack="east") as consumer:
            await consumer.assign([("t", 0)], start="earliest")
            assert await read(consumer, 2) == [b"a", b"b"]
        assert world.cluster.fetch_starts == [(LEADER, "east", False), (FOLLOWER, "", True)]

    in_world(scenario, brokers=2)


def test_a_reader_without_a_rack_stays_with_the_leader() -> None:
    async def scenario(world: World) -> None:
        world.cluster.create_topic("t")
        world.cluster.racks["east"] = FOLLOWER
        await produce(world, b"a")
        async with Consumer(world.client()) as consumer:
            await consumer.assign([("t", 0)], start="earliest")
            assert await read(consumer, 1) == [b"a"]
        assert world.cluster.fetch_starts == [(LEADER, "", False)]

    in_world(scenario, brokers=2)


def _refused_by_the_follower(error: StreamkeepError) -> None:
    async def scenario(world: World) -> None:
        world.cluster.create_topic("t")
        world.cluster.racks["east"] = FOLLOWER
        world.cluster.follower_errors.append(error)
        await produce(world, b"a", b"b")
        async with Consumer(world.client(), rack="east", reset="earliest") as consumer:
            await consumer.assign([("t", 0)], start=1)
            assert await read(consumer, 1) == [b"b"]
        assert world.cluster.fetch_starts[1:] == [(FOLLOWER, "", True), (LEADER, "", False)]

    in_world(scenario, brokers=2)


def test_an_offset_that_the_replica_does_not_have_is_read_from_the_leader_and_resets_nothing() -> None:
    _refused_by_the_follower(OffsetOutOfRangeError("not here yet"))


def test_a_replica_that_follows_no_more_is_left_for_the_leader() -> None:
    _refused_by_the_follower(NotLeaderError("it has left the in-sync replicas"))


def test_a_replica_that_dies_is_left_for_the_leader() -> None:
    async def scenario(world: World) -> None:
        world.cluster.create_topic("t")
        world.cluster.racks["east"] = FOLLOWER
        await produce(world, b"a")
        async with Consumer(world.client(), rack="east") as consumer:
            await consumer.assign([("t", 0)], start="earliest")
            assert await read(consumer, 1) == [b"a"]
            world.kill_broker(FOLLOWER)
            await produce(world, b"b")
            assert await read(consumer, 1) == [b"b"]
        assert world.cluster.fetch_starts[-1][0] == LEADER

    in_world(scenario, brokers=2)


def test_after_a_while_the_leader_is_asked_for_a_near_replica_again() -> None:
    async def scenario(world: World) -> None:
        world.cluster.create_topic("t")
        world.cluster.racks["east"] = FOLLOWER
        world.cluster.follower_errors.append(NotLeaderError("it has left the in-sync replicas"))
        await produce(world, b"a")
        async with Consumer(world.client(), rack="east") as consumer:
            await consumer.assign([("t", 0)], start="earliest")
            assert await read(consumer, 1) == [b"a"]
            await world.sleep(SHUN.first_wait_ms / 2_500)
            assert world.cluster.fetch_starts[2:] == [(LEADER, "", False)]
            await world.until(lambda: len(world.cluster.fetch_starts) == 5)
            await produce(world, b"b")
            assert await read(consumer, 1) == [b"b"]
        assert world.cluster.fetch_starts[3:] == [(LEADER, "east", False), (FOLLOWER, "", True)]

    in_world(scenario, brokers=2)


def test_a_replica_that_is_never_there_is_asked_for_less_and_less_often() -> None:
    async def scenario(world: World) -> None:
        world.cluster.create_topic("t")
        world.cluster.racks["east"] = FOLLOWER
        world.cluster.follower_errors.extend([NotLeaderError("it is not in sync")] * 100)
        async with Consumer(world.client(), rack="east") as consumer:
            await consumer.assign([("t", 0)], start="earliest")
            reading = asyncio.ensure_future(read(consumer, 1))
            await world.sleep(1_800)
            assert 10 < sum(broker == FOLLOWER for broker, _, _ in world.cluster.fetch_starts) < 30
            await produce(world, b"a")
            assert await reading == [b"a"]

    in_world(scenario, brokers=2)


def test_a_new_leader_is_asked_for_a_near_replica_again() -> None:
    async def scenario(world: World) -> None:
        world.cluster.create_topic("t")
        world.cluster.racks["east"] = FOLLOWER
        await produce(world, b"a")
        async with world.client() as client, Consumer(client, rack="east") as consumer:
            await consumer.assign([("t", 0)], start="earliest")
            assert await read(consumer, 1) == [b"a"]
            world.cluster.move_leader("t", 0, 3)
            await client.metadata.refresh()
            await produce(world, b"b")
            assert await read(consumer, 1) == [b"b"]
        assert world.cluster.fetch_starts[2:] == [(3, "east", False), (FOLLOWER, "", True)]

    in_world(scenario, brokers=3)

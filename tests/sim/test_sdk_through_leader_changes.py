"""What the SDK promises while leaders change: the shipping cluster and clients on simulated machines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import pytest

from streamkeep import Admin, Client, Consumer, Delivery, Producer
from streamkeep.errors import OffsetOutOfRangeError
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo, TopicInfo
from tests.acceptance.replication.status import all_in_sync, partition_of, topic_when
from tests.sim.seeds import seeds
from tests.sim.simulation import Simulation, run_simulation
from tests.sim.whole_cluster import WholeCluster

TOPIC = "t"
BROKERS = (1, 2, 3)
SESSION_TIMEOUT_S = 3.0
"""By default."""

Story = Callable[[WholeCluster, Client, Admin], Awaitable[None]]


def with_cluster(story: Story, *, seed: int = 1, partitions: int = 1, **settings: str) -> None:
    """Three brokers, one coordinator, and a topic with three replicas; `settings` are the brokers'."""

    async def live(simulation: Simulation) -> None:
        cluster = WholeCluster(simulation, brokers=len(BROKERS), broker_settings=settings)
        await cluster.start()
        async with cluster.client() as client, Admin(client) as admin:
            await admin.create_topic(TOPIC, partitions=partitions)
            await topic_when(admin, TOPIC, all_in_sync)
            await story(cluster, client, admin)
        assert not cluster.failures

    run_simulation(seed, live)


async def write(producer: Producer, numbers: Iterable[int], *, partition: int = 0) -> list[Delivery]:
    return [await producer.send(TOPIC, b"%d" % number, partition=partition) for number in numbers]


async def acknowledged(deliveries: Iterable[Delivery]) -> list[int]:
    return [(await delivery).offset for delivery in deliveries]


async def read(client: Client, *, partition: int = 0) -> list[int]:
    """Everything up to what is the end now."""
    async with Consumer(client) as consumer:
        await consumer.assign([(TOPIC, partition)])
        ends = await consumer.end_offsets([(TOPIC, partition)])
        return [int(record.value or b"-1") async for record in consumer.records(until=ends)]


def led_anew(before: PartitionInfo) -> Callable[[TopicInfo], bool]:
    """Another broker leads the partition."""
    return lambda topic: topic.partitions[before.partition].leader not in (0, before.leader)


async def change_leaders(cluster: WholeCluster, admin: Admin, partitions: int) -> None:
    """Kill, cut off and break the connections of leaders while they are written to; each comes back."""
    for fault in ("kill", "break", "cut off", "power cut", "move"):
        await cluster.sleep(cluster.rng.random())
        before = await partition_of(admin, TOPIC, cluster.rng.randrange(partitions))
        name = cluster.brokers[before.leader].name
        if fault == "break":
            cluster.fabric.break_connections("client", name)
        elif fault == "cut off":
            for other in ("coordinator-1", *(f"broker-{each}" for each in BROKERS if each != before.leader)):
                cluster.fabric.cut_both(name, other)
            await topic_when(admin, TOPIC, led_anew(before))
            cluster.fabric.heal()
        elif fault == "move":
            await admin.elect_leaders()
        else:
            host = cluster.brokers[before.leader]
            host.kill() if fault == "kill" else host.cut_power()
            await topic_when(admin, TOPIC, led_anew(before))
            await cluster.start_broker(before.leader)
        await topic_when(admin, TOPIC, all_in_sync)


@pytest.mark.parametrize("seed", seeds(2))
def test_five_batches_in_flight_keep_their_order_and_are_stored_once_through_leader_changes(
    seed: int,
) -> None:
    partitions = 3

    async def story(cluster: WholeCluster, client: Client, admin: Admin) -> None:
        async with Producer(client, batch_bytes=40, linger_ms=0, max_in_flight=5) as producer:
            changing = asyncio.ensure_future(change_leaders(cluster, admin, partitions))
            deliveries: list[list[Delivery]] = [[] for _ in range(partitions)]
            while not changing.done():
                for number, sent in enumerate(deliveries):
                    numbers = range(len(sent), len(sent) + 10)
                    sent.extend(await write(producer, numbers, partition=number))
                await cluster.sleep(cluster.rng.random() * 0.1)
            await changing
            for number, sent in enumerate(deliveries):
                offsets = await acknowledged(sent)
                assert all(offset in (number, -1) for number, offset in enumerate(offsets))
                assert await read(client, partition=number) == list(range(len(sent)))

    with_cluster(story, seed=seed, partitions=partitions)


async def only_the_first_has_all(cluster: WholeCluster, admin: Admin, producer: Producer) -> PartitionInfo:
    """Ten records that all replicas have, then ten more that only the leader has."""
    await admin.alter_topic_settings(TOPIC, set={"min_insync_replicas": "1"})
    await acknowledged(await write(producer, range(10)))
    before = await partition_of(admin, TOPIC)
    others = [each for each in BROKERS if each != before.leader]
    for each in others:
        cluster.brokers[each].kill()
    await topic_when(admin, TOPIC, lambda topic: list(topic.partitions[0].isr) == [before.leader])
    await acknowledged(await write(producer, range(10, 20)))
    return before


async def lose_the_first(cluster: WholeCluster, admin: Admin, before: PartitionInfo) -> None:
    """An operator gives up its records, so that writing can go on."""
    cluster.brokers[before.leader].kill()
    await topic_when(admin, TOPIC, lambda topic: topic.partitions[0].leader == 0)
    for each in BROKERS:
        if each != before.leader:
            await cluster.start_broker(each)
    await admin.elect_leaders([(TOPIC, 0)], unclean=True)
    await topic_when(admin, TOPIC, led_anew(before))


@pytest.mark.parametrize("written_since", [0, 5, 10, 30])
def test_a_consumer_is_told_that_what_it_has_read_was_cut_off_however_much_stands_there_now(
    written_since: int,
) -> None:
    """KIP-320: an unclean election loses records, and never in silence."""

    async def story(cluster: WholeCluster, client: Client, admin: Admin) -> None:
        reader = cluster.simulation.machine("reader")
        async with (
            Producer(client) as producer,
            cluster.client(reader) as readers_client,
            Consumer(readers_client) as consumer,
        ):
            before = await only_the_first_has_all(cluster, admin, producer)
            await consumer.assign([(TOPIC, 0)])
            records = aiter(consumer)
            values = [(await anext(records)).value for _ in range(20)]
            assert values == [b"%d" % number for number in range(20)]
            for each in BROKERS:
                cluster.fabric.cut_both("reader", f"broker-{each}")
            await lose_the_first(cluster, admin, before)
            await acknowledged(await write(producer, range(100, 100 + written_since)))
            cluster.fabric.heal()
            with pytest.raises(OffsetOutOfRangeError, match="was cut at offset 10"):
                await anext(records)
            assert consumer.position((TOPIC, 0)) == 20, "nothing is skipped"
            await consumer.seek((TOPIC, 0), 10)
            since = [(await anext(records)).value for _ in range(written_since)]
            assert since == [b"%d" % number for number in range(100, 100 + written_since)]

    with_cluster(story)


def test_a_producer_goes_on_where_an_unclean_election_has_lost_what_it_wrote() -> None:
    async def story(cluster: WholeCluster, client: Client, admin: Admin) -> None:
        async with Producer(client) as producer:
            before = await only_the_first_has_all(cluster, admin, producer)
            await lose_the_first(cluster, admin, before)
            await acknowledged(await write(producer, range(20, 30)))
        assert await read(client) == [*range(10), *range(20, 30)]

    with_cluster(story)


def test_end_offsets_wait_until_a_new_leader_knows_what_is_acknowledged() -> None:
    """KIP-207: an end that went back would make a consumer believe that it has read all."""

    async def story(cluster: WholeCluster, client: Client, admin: Admin) -> None:
        async with Producer(client) as producer, Consumer(client) as consumer:
            await acknowledged(await write(producer, range(5)))
            before = await partition_of(admin, TOPIC)
            heir, slow = (each for each in before.replicas if each != before.leader)
            machine = cluster.brokers[slow].machine
            assert machine is not None
            machine.workers.stall()
            waiting = await write(producer, range(5, 8))
            await cluster.sleep(0.2)
            cluster.brokers[before.leader].kill()
            after = await topic_when(admin, TOPIC, led_anew(before))
            assert after.partitions[0].leader == heir
            asking = asyncio.ensure_future(consumer.end_offsets([(TOPIC, 0)]))
            await cluster.sleep(0.3)
            assert not asking.done()
            machine.workers.resume()
            assert await asking == {(TOPIC, 0): 8}
            await acknowledged(waiting)

    with_cluster(story)


def test_a_producer_leaves_a_leader_that_only_it_can_reach_and_loses_nothing() -> None:
    """The broker goes on answering; only it says that it cannot know whether it still leads."""

    async def story(cluster: WholeCluster, client: Client, admin: Admin) -> None:
        async with Producer(client, linger_ms=0) as producer:
            deliveries = await write(producer, range(5))
            await acknowledged(deliveries)
            before = await partition_of(admin, TOPIC)
            old = cluster.brokers[before.leader].name
            for other in ("coordinator-1", *(f"broker-{each}" for each in BROKERS if each != before.leader)):
                cluster.fabric.cut_both(old, other)
            async with asyncio.timeout(SESSION_TIMEOUT_S + 2):
                for number in range(5, 50):
                    deliveries += await write(producer, [number])
                    await cluster.sleep(0.05)
                assert await acknowledged(deliveries) == list(range(50))
            assert (await partition_of(admin, TOPIC)).leader != before.leader
        assert await read(client) == list(range(50))

    with_cluster(story)


def test_a_producer_that_every_broker_has_forgotten_goes_on_in_order() -> None:
    async def story(cluster: WholeCluster, client: Client, admin: Admin) -> None:
        async with Producer(client, batch_bytes=40) as producer:
            await acknowledged(await write(producer, range(20)))
            await cluster.sleep(5)
            await acknowledged(await write(producer, range(20, 40)))
            await cluster.sleep(5)
            before = await partition_of(admin, TOPIC)
            cluster.brokers[before.leader].kill()
            await acknowledged(await write(producer, range(40, 60)))
        assert await read(client) == list(range(60))

    with_cluster(story, producer_expiration_ms="1000", retention_check_ms="500")


def test_writes_that_lack_replicas_wait_and_go_on_by_themselves() -> None:
    async def story(cluster: WholeCluster, client: Client, admin: Admin) -> None:
        async with Producer(client, batch_bytes=40) as producer:
            await acknowledged(await write(producer, range(20)))
            before = await partition_of(admin, TOPIC)
            dead = [each for each in BROKERS if each != before.leader]
            for each in dead:
                cluster.brokers[each].kill()
            waiting = await write(producer, range(20, 40))
            await topic_when(admin, TOPIC, lambda topic: len(topic.partitions[0].isr) == 1)
            waiting += await write(producer, range(40, 60))
            await cluster.sleep(10)
            assert not any(delivery.done() for delivery in waiting)
            await cluster.start_broker(dead[0])
            assert await acknowledged(waiting) == list(range(20, 60))
        assert await read(client) == list(range(60))

    with_cluster(story)


@pytest.mark.parametrize("seed", seeds(2))
def test_a_reader_in_a_rack_gets_everything_once_through_deaths_of_near_and_far_replicas(seed: int) -> None:
    async def story(cluster: WholeCluster, client: Client, admin: Admin) -> None:
        before = await partition_of(admin, TOPIC)
        near = next(each for each in before.replicas if each != before.leader)
        async with (
            Producer(client, linger_ms=0) as producer,
            Consumer(client, rack=f"rack-{near}") as consumer,
        ):
            await consumer.assign([(TOPIC, 0)])
            records = aiter(consumer)
            await write(producer, [-1])
            assert (await anext(records)).value == b"-1"
            assert b"streamkeep_follower_fetched_bytes_total 0.0" not in cluster.metrics[near].render()
            changing = asyncio.ensure_future(change_leaders(cluster, admin, 1))
            sent = 0
            values = []
            while not changing.done():
                await write(producer, range(sent, sent + 5))
                sent += 5
                values += [int((await anext(records)).value or b"-1") for _ in range(5)]
                await cluster.sleep(cluster.rng.random() * 0.1)
            await changing
            assert values == list(range(sent))

    with_cluster(story, seed=seed)

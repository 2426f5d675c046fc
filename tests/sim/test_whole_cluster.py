"""The real coordinator, broker and SDK together, through kills, power cuts and bad networks.

The promise: every acknowledged record is there, once, unchanged, in order, at the offset that was told.
"""

from __future__ import annotations

import asyncio

import pytest

from streamkeep import Admin, Client, Consumer, Delivery, Producer
from tests.sim.seeds import seeds
from tests.sim.simulation import Simulation, run_simulation
from tests.sim.whole_cluster import WholeCluster

PARTITIONS = 2
RECORDS = 300


async def write(cluster: WholeCluster, producer: Producer, partition: int) -> list[Delivery]:
    deliveries = []
    for number in range(RECORDS):
        value = b"%d-%05d" % (partition, number)
        deliveries.append(await producer.send("t", value, partition=partition))
        await cluster.sleep(cluster.rng.random() * 0.03)
    return deliveries


async def read(client: Client, partition: int) -> list[bytes | None]:
    async with Consumer(client) as consumer:
        await consumer.assign([("t", partition)])
        ends = await consumer.end_offsets([("t", partition)])
        return [record.value async for record in consumer.records(until=ends)]


async def stir(cluster: WholeCluster) -> None:
    """Six faults, a moment apart."""
    for _ in range(6):
        await cluster.sleep(0.2 + cluster.rng.random())
        fault = cluster.rng.choice(["kill", "power cut", "break", "cut", "coordinator"])
        if fault == "break":
            cluster.fabric.break_connections("client", "broker-1")
        elif fault == "cut":
            cluster.fabric.cut_both(cluster.rng.choice(["client", "coordinator-1"]), "broker-1")
            await cluster.sleep(cluster.rng.random() * 5)
            cluster.fabric.heal()
        elif fault == "coordinator":
            cluster.coordinators[1].kill()
            await cluster.sleep(cluster.rng.random())
            await cluster.start_coordinator(1)
        else:
            host = cluster.brokers[1]
            host.kill() if fault == "kill" else host.cut_power()
            await cluster.sleep(cluster.rng.random() * 2)
            await cluster.start_broker(1)


@pytest.mark.parametrize("seed", seeds(10))
def test_acknowledged_records_are_there_once_in_order_whatever_happened(seed: int) -> None:
    async def story(simulation: Simulation) -> None:
        cluster = WholeCluster(simulation)
        await cluster.start()
        async with cluster.client() as client, Admin(client) as admin:
            await admin.create_topic("t", partitions=PARTITIONS)
            simulation.fabric.weather.break_odds = 0.002
            async with Producer(client, batch_bytes=200) as producer:
                stirring = asyncio.ensure_future(stir(cluster))
                writing = [write(cluster, producer, partition) for partition in range(PARTITIONS)]
                written = await asyncio.gather(*writing)
                await stirring
                for deliveries in written:
                    offsets = [(await delivery).offset for delivery in deliveries]
                    assert all(offset in (number, -1) for number, offset in enumerate(offsets))
            for partition in range(PARTITIONS):
                expected = [b"%d-%05d" % (partition, number) for number in range(RECORDS)]
                assert await read(client, partition) == expected
        assert not cluster.failures

    run_simulation(seed, story)

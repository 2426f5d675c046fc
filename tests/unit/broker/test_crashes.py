"""A producer that retries through crashes: at the end every record is there once, unchanged, in order.

Each seed crashes the broker several times while batches are in flight, by kill -9 (the page cache stays)
or by a power cut (what was not flushed is lost or torn).
"""

from __future__ import annotations

import random

import pytest

from streamkeep_common.seams import RpcError
from streamkeep_proto.v1 import errors_pb2
from tests.sim.seeds import seeds
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.broker.clients import Producer, item, make_batch
from tests.unit.broker.world import TOPIC, World

BATCHES = 60
IN_FLIGHT = 5
CRASHES = 4
SEEDS = seeds(30)


def value(number: int) -> bytes:
    """Large enough that segments are rolled on the way."""
    return b"%d" % number + bytes(200)


class RetryingProducer:
    """As an SDK does: after a failure it sends again from its oldest unacknowledged batch, one in flight."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.acknowledged: list[int] = []

    async def run(self) -> None:
        while len(self.acknowledged) < BATCHES:
            try:
                await self._send_from(len(self.acknowledged))
            except RpcError:
                await self.world.client.clock.sleep(0.05)

    async def _send_from(self, first: int) -> None:
        channel = self.world.client.network.dial("broker1:7201")
        producer = Producer(channel)
        try:
            sent = first
            while len(self.acknowledged) < BATCHES:
                in_flight = IN_FLIGHT if len(self.acknowledged) > first else 1
                while sent < BATCHES and sent - len(self.acknowledged) < in_flight:
                    await producer.send(item(TOPIC, make_batch([value(sent)], sequence=sent)))
                    sent += 1
                if not await producer.receive() or not self._take(producer):
                    return
        finally:
            await channel.close()

    def _take(self, producer: Producer) -> bool:
        """False if it has to begin again."""
        for result in producer.results:
            if result.error.code != errors_pb2.NONE:
                return False
            assert result.base_offset == len(self.acknowledged), "each batch has its own offset, in order"
            self.acknowledged.append(result.base_offset)
        producer.results.clear()
        return True


async def scenario(world: World, rng: random.Random) -> None:
    await world.start(segment_bytes="4096")
    producer = RetryingProducer(world)
    producing = world.client.spawn(producer.run())
    for _ in range(CRASHES):
        before = len(producer.acknowledged)
        wanted = min(before + rng.randint(0, 12), BATCHES)
        await world.until(lambda wanted=wanted: len(producer.acknowledged) >= wanted)
        rng.choice((world.kill_broker, world.cut_power))()
        await world.client.clock.sleep(rng.random())
        await world.start_broker()
    await producing
    assert world.failures == []
    fetcher = world.fetcher()
    await world.hosted(1)
    await fetcher.start(TOPIC)
    values = await fetcher.until_values(BATCHES)
    assert values == [value(number) for number in range(BATCHES)]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_acknowledged_record_is_there_once_in_order(seed: int) -> None:
    async def run(simulation: Simulation) -> None:
        await scenario(World(simulation), simulation.rng("crashes"))

    run_simulation(seed, run, max_time_s=600)

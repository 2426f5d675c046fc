"""A seed is a run: the simulator chooses by it alone, in every process."""

from __future__ import annotations

import asyncio
import random
from functools import partial

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common.seams import RpcError
from tests.sim.other_processes import printed_in_two_processes
from tests.sim.simulated_service import TALK, two_machines
from tests.sim.simulation import Machine, Simulation, run_simulation


async def race(_simulation: Simulation) -> str:
    order: list[str] = []

    async def run(name: str) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            order.append(name)

    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(run(name))
    return "".join(order)


def test_the_seed_chooses_among_what_is_ready() -> None:
    orders = [run_simulation(seed, race) for seed in range(50)]
    assert len(set(orders)) > 40
    assert orders == [run_simulation(seed, race) for seed in range(50)]


async def chat(
    simulation: Simulation, client: Machine, address: str, rng: random.Random, number: int
) -> None:
    channel = client.network.dial(address)
    for turn in range(10):
        try:
            async with asyncio.timeout(rng.uniform(0.001, 0.5)):
                stream = channel.open(TALK)
                await stream.send(BytesValue(value=b"%d" % turn))
                await stream.receive()
        except (RpcError, TimeoutError) as error:
            simulation.note("failed", f"{number} {turn} {error!r}")
        simulation.note("order", f"{number} {turn}")
        stream.cancel()


async def turmoil(simulation: Simulation) -> str:
    """Calls, streams, work, kills, cuts and cancelled task groups; what happened, condensed."""
    simulation.fabric.weather.break_odds = 0.01
    simulation.fabric.weather.spike_odds = 0.05
    server, client, address = await two_machines(simulation)
    chatter = partial(chat, simulation, client, address, simulation.rng("turmoil"))

    async def quarrel() -> None:
        async with asyncio.TaskGroup() as group:  # keeps its tasks in a set
            for number in range(20):
                group.create_task(linger(number))
            await asyncio.sleep(0.001)
            raise LookupError

    async def linger(number: int) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            simulation.note("lingered", str(number))

    worker = client.workers.start("worker")
    talkers = [client.spawn(chatter(number)) for number in range(10)]
    work = [worker.run(partial(simulation.note, "work", str(number))) for number in range(20)]
    with pytest.raises(ExceptionGroup):
        await quarrel()
    simulation.fabric.cut("client", "server")
    await asyncio.sleep(0.2)
    simulation.fabric.heal()
    server.kill()
    await asyncio.gather(*talkers, *work)
    simulation.note("steps", str(simulation.loop.steps))
    return simulation.trace.digest()


def test_one_seed_gives_one_trace_in_every_process() -> None:
    program = (
        "from tests.sim.simulation import run_simulation\n"
        "from tests.sim.test_sim_determinism import turmoil\n"
        "print(*(run_simulation(seed, turmoil) for seed in range(5)))\n"
    )
    here = [run_simulation(seed, turmoil) for seed in range(5)]
    assert printed_in_two_processes(program) == [here, here]
    assert len(set(here)) == 5

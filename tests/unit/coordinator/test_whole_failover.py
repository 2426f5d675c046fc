"""Broker sessions on three whole coordinators: with their own elections, logs and disks."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_common.seams import RpcError
from tests.unit.coordinator.brokers import Broker
from tests.unit.coordinator.quorum.trio import Node, Quorum, address, host, simulate


async def join(quorum: Quorum, broker: Broker) -> None:
    """Open a session with whoever is active, asking again until it is open."""
    while True:
        broker.address = address(await quorum.active())
        try:
            async with asyncio.timeout(1.0):
                await broker.join()
            return
        except (RpcError, AssertionError, TimeoutError):
            await asyncio.sleep(0.05)


async def with_brokers(quorum: Quorum) -> list[Broker]:
    brokers = [
        Broker(quorum.simulation.machine(f"broker-{number}"), number, 1, address(1)) for number in (1, 2, 3)
    ]
    for broker in brokers:
        await join(quorum, broker)
    return brokers


async def move(quorum: Quorum, brokers: list[Broker]) -> None:
    for broker in brokers:
        broker.beating.cancel()
    await asyncio.gather(*(join(quorum, broker) for broker in brokers))


def fenced(node: Node) -> list[int]:
    images = node.coordinator._images
    assert images is not None
    return [each.broker_id for each in images.committed.brokers.values() if each.fenced]


async def assert_nobody_is_fenced(quorum: Quorum) -> None:
    """For longer than any deadline, on the coordinator that is active then."""
    await asyncio.sleep(8)
    node = quorum.nodes[await quorum.active()]
    assert node.coordinator._duty is not None
    assert (node.coordinator._duty.open_sessions, fenced(node)) == (3, [])


@pytest.mark.parametrize("power_cut", [False, True])
def test_the_death_of_the_active_coordinator_fences_nobody(power_cut: bool) -> None:
    async def scenario(quorum: Quorum) -> None:
        brokers = await with_brokers(quorum)
        dead = await quorum.active()
        quorum.nodes[dead].kill(power_cut=power_cut)
        await move(quorum, brokers)
        await assert_nobody_is_fenced(quorum)

    simulate(scenario)


def test_an_active_coordinator_that_stands_still_and_wakes_fences_nobody() -> None:
    async def scenario(quorum: Quorum) -> None:
        brokers = await with_brokers(quorum)
        hung = quorum.nodes[await quorum.active()]
        hung.machine.process.pause()
        hung.is_running = False
        await move(quorum, brokers)
        await asyncio.sleep(5)
        hung.machine.process.resume()
        hung.is_running = True
        await assert_nobody_is_fenced(quorum)
        assert not hung.shell.driver.is_active

    simulate(scenario)


def test_an_active_coordinator_that_is_cut_off_from_the_others_fences_nobody() -> None:
    async def scenario(quorum: Quorum) -> None:
        brokers = await with_brokers(quorum)
        lonely = await quorum.active()
        for other in quorum.nodes:
            if other != lonely:
                quorum.simulation.fabric.cut_both(host(lonely), host(other))
        await quorum.active(besides=lonely)
        for broker in brokers:
            await broker.beating
        await move(quorum, brokers)
        quorum.simulation.fabric.heal()
        await assert_nobody_is_fenced(quorum)

    simulate(scenario)


def test_an_active_coordinator_that_no_broker_reaches_hands_leadership_on_and_nobody_is_fenced() -> None:
    async def scenario(quorum: Quorum) -> None:
        brokers = await with_brokers(quorum)
        unheard = await quorum.active()
        for broker in brokers:
            quorum.simulation.fabric.cut_both(host(unheard), broker.machine.process.name)
        await asyncio.wait_for(quorum.active(besides=unheard), timeout=2.9)
        await move(quorum, brokers)
        await assert_nobody_is_fenced(quorum)

    simulate(scenario)


def test_a_coordinator_that_stops_in_order_hands_its_brokers_on() -> None:
    async def scenario(quorum: Quorum) -> None:
        brokers = await with_brokers(quorum)
        leaving = await quorum.active()
        stopping = asyncio.create_task(quorum.nodes[leaving].stop())
        await quorum.active(besides=leaving)
        await move(quorum, brokers)
        await stopping
        await assert_nobody_is_fenced(quorum)

    simulate(scenario)

"""What every Clock keeps, real or simulated."""

from __future__ import annotations

import asyncio

from tests.sim.worlds import RunScenario, World


def test_monotonic_time_is_the_loops_own(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        loop = asyncio.get_running_loop()
        before, now, after = loop.time(), world.clock.monotonic(), loop.time()
        assert before <= now <= after

    run(scenario)


def test_sleep_takes_at_least_as_long_as_asked(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        before = world.clock.monotonic()
        await world.clock.sleep(0.02)
        # asyncio may fire a timer early by the resolution of its clock.
        assert world.clock.monotonic() - before >= 0.02 - 1e-6

    run(scenario)


def test_sleeping_for_nothing_lets_others_run(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        ran = asyncio.Event()
        asyncio.get_running_loop().call_soon(ran.set)
        async with asyncio.timeout(5):
            while not ran.is_set():
                await world.clock.sleep(0)

    run(scenario)


def test_the_wall_clock_counts_milliseconds_since_1970(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        before = world.clock.now_ms()
        await world.clock.sleep(0.01)
        assert before > 1_600_000_000_000
        assert world.clock.now_ms() >= before + 9

    run(scenario)

"""The simulated event loop: time passes at once, and whatever cannot or must not go on is an error."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.sim.loop import SimDeadlockError, SimTimeoutError
from tests.sim.simulation import Simulation, run_simulation


def test_virtual_hours_pass_at_once() -> None:
    async def wait(simulation: Simulation) -> float:
        for _ in range(100):
            await asyncio.sleep(3_600)
        return simulation.loop.time()

    assert run_simulation(1, wait, max_time_s=1e9) == pytest.approx(360_000)


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def collect(_simulation: Simulation) -> list[int]:
        fired: list[int] = []
        for delay in (3, 1, 2):
            asyncio.get_running_loop().call_later(delay, fired.append, delay)
        await asyncio.sleep(4)
        return fired

    assert run_simulation(1, collect) == [1, 2, 3]


def test_who_waits_for_less_than_a_moment_sees_time_pass() -> None:
    async def story(simulation: Simulation) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(100)
        deadline = loop.time() + 1e-5
        for _ in range(20):
            await asyncio.sleep(1e-30)
        assert loop.time() >= deadline

    run_simulation(0, story)


def test_what_can_never_go_on_is_an_error_that_names_who_waits() -> None:
    async def wait_for_nothing(_simulation: Simulation) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(SimDeadlockError, match=r"wait_for_nothing at test_sim_loop\.py"):
        run_simulation(1, wait_for_nothing)


def test_what_goes_on_for_ever_is_an_error() -> None:
    async def tick(_simulation: Simulation) -> None:
        while True:
            await asyncio.sleep(1)

    async def spin(_simulation: Simulation) -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(SimTimeoutError, match="virtual seconds"):
        run_simulation(1, tick, max_time_s=60)
    with pytest.raises(SimTimeoutError, match="steps"):
        run_simulation(1, spin, max_steps=10_000)


def test_what_dies_unseen_fails_the_simulation() -> None:
    async def lose_a_callback(_simulation: Simulation) -> None:
        asyncio.get_running_loop().call_soon([].pop)
        await asyncio.sleep(1)

    with pytest.raises(AssertionError, match="died unseen"):
        run_simulation(1, lose_a_callback)


def test_a_simulation_has_no_threads() -> None:
    async def use_a_thread(simulation: Simulation) -> None:
        with pytest.raises(RuntimeError, match="no threads"):
            await asyncio.to_thread(int)
        refused: list[RuntimeError] = []

        def call() -> None:
            try:
                simulation.loop.call_soon_threadsafe(int)
            except RuntimeError as error:
                refused.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        assert refused

    run_simulation(1, use_a_thread)


def test_a_checker_is_called_after_every_step() -> None:
    async def count(simulation: Simulation) -> None:
        calls: list[int] = []
        before = simulation.loop.steps
        simulation.loop.after_step = lambda _process: calls.append(simulation.loop.steps)
        await asyncio.sleep(1)
        await asyncio.sleep(1)
        assert calls == list(range(before, before + len(calls)))
        assert len(calls) >= 2

    run_simulation(1, count)

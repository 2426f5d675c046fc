"""Simulated processes are killed and paused as real ones are, and have clocks and workers of their own."""

from __future__ import annotations

import asyncio

import pytest

from tests.sim.simulation import Simulation, run_simulation


def test_nothing_of_a_killed_process_runs_not_even_its_clean_up() -> None:
    async def kill(simulation: Simulation) -> list[str]:
        machine = simulation.machine("a")
        done: list[str] = []

        async def work() -> None:
            try:
                await asyncio.sleep(10)
                done.append("woke up")
            finally:
                done.append("cleaned up")

        machine.spawn(work())
        machine.process.call(asyncio.get_running_loop().call_later, 5, done.append, "timer")
        job = machine.process.call(machine.workers.start, "worker").run
        machine.process.call(job, lambda: done.append("worked"))
        machine.kill()
        await asyncio.sleep(60)
        return list(done)

    assert not any(
        "worked" not in done and done for done in (run_simulation(seed, kill) for seed in range(10))
    )


def test_a_paused_process_stands_still_and_goes_on_where_it_was() -> None:
    async def pause(simulation: Simulation) -> None:
        machine = simulation.machine("a")
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                await asyncio.sleep(1)
                ticks.append(simulation.loop.time())

        machine.spawn(tick())
        await asyncio.sleep(2.5)
        machine.process.pause()
        await asyncio.sleep(10)
        assert len(ticks) == 2
        machine.process.resume()
        await asyncio.sleep(1.2)
        assert [round(time_s, 1) for time_s in ticks] == [1.0, 2.0, 12.5, 13.5]

    run_simulation(1, pause)


def test_each_process_has_a_wall_clock_that_may_jump() -> None:
    async def jump(simulation: Simulation) -> None:
        one, other = simulation.machine("a").clock, simulation.machine("b").clock
        assert one.now_ms() == other.now_ms()
        one.jump(-3_600_000)
        assert one.now_ms() == other.now_ms() - 3_600_000
        assert one.monotonic() == other.monotonic()

    run_simulation(1, jump)


def test_each_process_has_a_monotonic_clock_at_a_rate_of_its_own() -> None:
    async def drift(simulation: Simulation) -> None:
        one, other = simulation.machine("a").clock, simulation.machine("b").clock
        await other.sleep(10)
        one.run_at(1.25)
        await one.sleep(10)
        assert other.monotonic() == pytest.approx(18)
        assert one.monotonic() == pytest.approx(20)
        one.run_at(1.0)
        await other.sleep(1)
        assert one.monotonic() == pytest.approx(21)

    run_simulation(1, drift)


def test_stalled_workers_complete_nothing_until_they_are_resumed() -> None:
    async def stall(simulation: Simulation) -> None:
        workers = simulation.machine("a").workers
        worker = workers.start("disk")
        workers.stall()
        flush = worker.run(lambda: "flushed")
        await asyncio.sleep(100)
        assert not flush.done()
        workers.resume()
        assert await flush == "flushed"

    run_simulation(1, stall)

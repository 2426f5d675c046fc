"""What every Worker keeps, real or simulated."""

from __future__ import annotations

import asyncio

import pytest

from tests.sim.worlds import RunScenario, World


def test_work_is_done_in_order_and_gives_its_result(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        worker = world.workers.start("in-order")
        done: list[int] = []

        def work(number: int) -> int:
            done.append(number)
            return number * 2

        futures = [worker.run(lambda number=number: work(number)) for number in range(200)]
        assert await asyncio.gather(*futures) == [number * 2 for number in range(200)]
        assert done == list(range(200))
        await worker.close()

    run(scenario)


def test_what_work_raises_comes_out_of_its_future_and_the_next_work_is_done(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        worker = world.workers.start("raising")

        def fail() -> None:
            raise OSError(5, "Input/output error")

        failing = worker.run(fail)
        fine = worker.run(lambda: "fine")
        with pytest.raises(OSError, match="Input/output error"):
            await failing
        assert await fine == "fine"
        await worker.close()

    run(scenario)


def test_stop_iteration_does_not_end_the_one_who_waits(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        worker = world.workers.start("stop-iteration")
        with pytest.raises(RuntimeError, match="StopIteration"):
            await worker.run(lambda: next(iter(())))
        await worker.close()

    run(scenario)


def test_cancelling_drops_the_result_but_not_the_work(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        worker = world.workers.start("cancelled")
        done: list[str] = []
        worker.run(lambda: done.append("cancelled")).cancel()
        await worker.run(lambda: done.append("next"))
        assert done == ["cancelled", "next"]
        await worker.close()

    run(scenario)


def test_close_finishes_what_was_given_and_refuses_more(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        worker = world.workers.start("closing")
        done: list[int] = []
        for number in range(10):
            worker.run(lambda number=number: done.append(number))
        closing = asyncio.ensure_future(worker.close())
        await worker.close()
        await closing
        assert done == list(range(10))
        with pytest.raises(RuntimeError, match="closing"):
            worker.run(lambda: None)

    run(scenario)

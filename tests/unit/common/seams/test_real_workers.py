"""What only real threads have."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from streamkeep_common.seams.real.workers import RealWorkers
from tests.sim.worlds import eventually


def thread_named(name: str) -> threading.Thread:
    [thread] = [thread for thread in threading.enumerate() if thread.name == name]
    return thread


async def test_work_runs_on_a_thread_of_its_name_that_ends_when_it_is_closed() -> None:
    worker = RealWorkers().start("flusher-1")
    thread = thread_named("flusher-1")
    assert await worker.run(threading.current_thread) is thread
    await worker.close()
    assert not thread.is_alive()


async def test_a_worker_that_is_busy_holds_up_no_other() -> None:
    workers = RealWorkers()
    busy, free = workers.start("busy"), workers.start("free")
    release = threading.Event()
    held = busy.run(lambda: release.wait(timeout=5))
    await free.run(release.set)
    assert await held, "the other one's work came too late"
    for worker in (busy, free):
        await worker.close()


async def test_a_thread_has_ended_however_late_it_is_when_its_worker_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = RealWorkers().start("dawdler")
    thread = thread_named("dawdler")
    loop = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe

    def wake_and_dawdle(*arguments: object) -> None:
        wake(*arguments)  # type: ignore[arg-type]
        time.sleep(0.05)

    monkeypatch.setattr(loop, "call_soon_threadsafe", wake_and_dawdle)
    await worker.close()
    assert not thread.is_alive()


async def test_what_completes_while_the_loop_is_busy_is_delivered_by_one_wake_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = RealWorkers().start("batching")
    loop = asyncio.get_running_loop()
    wake_ups: list[object] = []
    wake = loop.call_soon_threadsafe

    def count(callback: object, *arguments: object) -> asyncio.Handle:
        wake_ups.append(callback)
        return wake(callback, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", count)
    last = threading.Event()
    futures = [worker.run(lambda: None) for _ in range(100)]
    futures.append(worker.run(last.set))
    assert last.wait(timeout=5)  # the loop is kept busy on purpose
    await asyncio.gather(*futures)
    assert len(wake_ups) <= 2
    await worker.close()


def test_a_worker_whose_loop_has_gone_ends() -> None:
    release = threading.Event()

    async def leave_it_behind() -> None:
        RealWorkers().start("left-behind").run(lambda: release.wait(timeout=5))

    asyncio.run(leave_it_behind())
    thread = thread_named("left-behind")
    release.set()
    thread.join(timeout=5)
    assert not thread.is_alive()


async def test_an_idle_worker_keeps_nothing_of_its_last_work_alive() -> None:
    alive: list[int] = []

    class Watched:
        def __init__(self) -> None:
            alive.append(id(self))

        def __del__(self) -> None:
            alive.remove(id(self))

    worker = RealWorkers().start("forgetful")
    assert isinstance(await worker.run(Watched), Watched)
    await eventually(lambda: not alive)
    await worker.close()

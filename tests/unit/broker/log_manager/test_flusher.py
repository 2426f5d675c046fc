"""Group commit: what one flush covers, how it is done, and what follows when it fails or is late."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from streamkeep_broker.log.file_cache import CachedFile, FileCache
from streamkeep_broker.log.flusher import Flusher
from tests.sim.disk import SimDisk
from tests.unit.broker.log_manager.hand_worker import HandWorker, passes

ROOT = Path("/data")


class Target(NamedTuple):
    files: list[CachedFile]
    directories: list[Path]
    end_offset: int


class Log:
    """One file; an offset is a byte."""

    def __init__(self, cache: FileCache, name: str) -> None:
        self.file = cache.open(ROOT / name, create=True)
        self.end = 0
        self.flushed_end = 0
        self.new = True
        self.needs_flush = False
        self.heard = 0
        self.on_progress: Callable[[], None] = self._hear

    def append(self) -> None:
        self.file.append([b"x"])
        self.end += 1

    def flush_target(self) -> Target:
        directories = [ROOT] if self.new else []
        self.new = False
        return Target([self.file], directories, self.end)

    def flushed(self, end_offset: int) -> None:
        self.flushed_end = end_offset

    def _hear(self) -> None:
        self.heard += 1


class Observer:
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.spoken = asyncio.Event()

    def flush_is_late(self, flusher: Flusher) -> None:
        self.heard.append("late")
        self.spoken.set()

    def flush_answered(self, flusher: Flusher) -> None:
        self.heard.append("answered")

    def flush_lacks_room(self, flusher: Flusher) -> None:
        self.heard.append("full")

    def flush_failed(self, flusher: Flusher, error: OSError) -> None:
        self.heard.append(f"failed: {error.strerror}")


class Bench:
    """A flusher on a simulated disk, with its worker in the test's hand."""

    def __init__(self, *, stall_ms: int = 60_000) -> None:
        self.disk = SimDisk(random.Random(1))
        self.disk.make_directories(ROOT)
        self.disk.sync_directory(Path("/"))
        self.cache = FileCache(self.disk, capacity=512)
        self.worker = HandWorker()
        self.observer = Observer()
        self.flusher = Flusher(
            self.disk.file_system(ROOT),
            disk=self.disk,
            worker=self.worker,
            observer=self.observer,
            stall_ms=stall_ms,
        )

    def log(self, name: str = "log") -> Log:
        return Log(self.cache, name)

    def produce(self, log: Log) -> None:
        log.append()
        self.flusher.request(log)


async def test_one_flush_serves_everything_appended_in_one_pass_of_the_loop() -> None:
    bench = Bench()
    logs = [bench.log(str(number)) for number in range(3)]
    for log in [*logs, *logs]:
        bench.produce(log)
    await passes()
    assert len(bench.worker.queue) == 1
    await bench.worker.do_next()
    assert [log.flushed_end for log in logs] == [2, 2, 2]
    assert [log.heard for log in logs] == [1, 1, 1]


async def test_what_is_appended_while_a_flush_runs_is_covered_by_the_next_one_alone() -> None:
    bench = Bench()
    log = bench.log()
    bench.produce(log)
    await passes()
    for _ in range(100):
        bench.produce(log)
    await passes()
    assert len(bench.worker.queue) == 1
    await bench.worker.do_next()
    assert log.flushed_end == 1
    await bench.worker.do_next()
    assert log.flushed_end == 101
    assert not bench.worker.queue
    assert bench.disk.file_syncs == 2


async def test_nothing_is_called_flushed_before_it_is() -> None:
    bench = Bench()
    log = bench.log()
    bench.produce(log)
    await passes()
    assert log.flushed_end == log.heard == 0
    await bench.worker.do_next()
    bench.disk.power_cut()
    assert bench.disk.read_file(ROOT / "log") == b"x"


@pytest.mark.parametrize("files", [1, 4])
async def test_up_to_four_things_are_synced_one_by_one(files: int) -> None:
    bench = Bench()
    logs = [bench.log(str(number)) for number in range(files)]
    for log in logs:
        log.new = False
        bench.produce(log)
    await passes()
    await bench.worker.do_next()
    assert (bench.disk.file_syncs, bench.disk.file_system_syncs) == (files, 0)


async def test_five_files_are_made_durable_by_one_sync_of_their_file_system() -> None:
    bench = Bench()
    logs = [bench.log(str(number)) for number in range(5)]
    for log in logs:
        bench.produce(log)
    await passes()
    await bench.worker.do_next()
    assert (bench.disk.file_syncs, bench.disk.file_system_syncs) == (0, 1)
    assert [log.flushed_end for log in logs] == [1] * 5
    bench.disk.power_cut()
    assert [bench.disk.read_file(ROOT / str(number)) for number in range(5)] == [b"x"] * 5


async def test_one_file_that_lost_its_descriptor_unsynced_needs_a_sync_of_the_file_system() -> None:
    bench = Bench()
    bench.cache = FileCache(bench.disk, capacity=1)
    log, other = bench.log(), bench.log("other")
    bench.produce(log)
    other.append()
    await passes()
    log.append()
    await bench.worker.do_next()
    assert (bench.disk.file_syncs, bench.disk.file_system_syncs) == (0, 1)
    assert log.flushed_end == 1
    bench.flusher.request(log)
    await passes()
    await bench.worker.do_next()
    bench.produce(log)
    await passes()
    await bench.worker.do_next()
    assert (bench.disk.file_syncs, log.flushed_end) == (1, 3)


async def test_a_flush_that_finds_no_descriptor_syncs_the_file_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    log = bench.log()
    bench.produce(log)
    await passes()
    monkeypatch.setattr(CachedFile, "sync", _no_descriptor)
    await bench.worker.do_next()
    assert bench.disk.file_system_syncs == 1
    assert log.flushed_end == 1


def _no_descriptor(_file: CachedFile) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


async def test_where_the_file_system_cannot_be_synced_each_file_is() -> None:
    bench = Bench()

    class Refusing(type(bench.flusher.file_system)):  # type: ignore[misc]
        def sync(self) -> None:
            raise OSError(38, "Function not implemented")

    bench.flusher.file_system.__class__ = Refusing
    logs = [bench.log(str(number)) for number in range(5)]
    for log in logs:
        bench.produce(log)
    await passes()
    await bench.worker.do_next()
    assert bench.disk.file_syncs == 5
    assert [log.flushed_end for log in logs] == [1] * 5


@pytest.mark.parametrize("files", [1, 9])
async def test_a_failed_flush_is_never_tried_again_and_nothing_that_waited_is_called_safe(files: int) -> None:
    bench = Bench()
    logs = [bench.log(str(number)) for number in range(files)]
    for log in logs:
        bench.produce(log)
    await passes()
    bench.produce(logs[0])
    bench.disk.fail("sync")
    await bench.worker.do_next()
    bench.disk.heal()
    bench.produce(logs[0])
    await passes()
    assert not bench.worker.queue
    assert bench.flusher.failed
    assert bench.observer.heard == ["failed: Input/output error"]
    assert [log.flushed_end for log in logs] == [0] * files
    await bench.flusher.settle()


async def test_a_flush_that_takes_too_long_is_said_and_so_is_its_end() -> None:
    bench = Bench(stall_ms=0)
    log = bench.log()
    bench.produce(log)
    async with asyncio.timeout(10):
        await bench.observer.spoken.wait()
    assert bench.observer.heard == ["late"]
    assert log.flushed_end == 0
    await bench.worker.do_next()
    assert bench.observer.heard == ["late", "answered"]
    assert log.flushed_end == 1


async def test_a_log_that_cannot_take_note_does_not_keep_the_news_from_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bad, good = bench.log("bad"), bench.log("good")

    def refuse() -> None:
        raise RuntimeError("no")

    bad.on_progress = refuse
    bench.produce(bad)
    bench.produce(good)
    await passes()
    await bench.worker.do_next()
    assert good.heard == 1
    assert "could not take note" in caplog.text


async def test_a_forgotten_log_is_not_flushed() -> None:
    bench = Bench()
    log = bench.log()
    bench.produce(log)
    let_go: list[Log] = []
    bench.flusher.forget(log, lambda: let_go.append(log))
    assert let_go == [log]
    await passes()
    assert not bench.worker.queue
    await bench.flusher.settle()


@pytest.mark.parametrize("fails", [False, True])
async def test_a_log_forgotten_during_its_flush_is_let_go_when_that_has_ended(fails: bool) -> None:
    bench = Bench()
    log = bench.log()
    bench.produce(log)
    await passes()
    let_go: list[Log] = []
    log.needs_flush = True
    bench.flusher.forget(log, lambda: let_go.append(log))
    await passes()
    assert not let_go
    if fails:
        bench.disk.fail("sync")
    await bench.worker.do_next()
    assert let_go == [log]
    assert not bench.worker.queue


async def test_a_log_with_a_bug_in_it_leaves_nobody_waiting_without_a_word() -> None:
    bench = Bench()
    broken, good = bench.log("broken"), bench.log("good")

    def stumble() -> Target:
        raise RuntimeError("a bug")

    broken.flush_target = stumble  # type: ignore[method-assign]
    bench.produce(good)
    bench.produce(broken)
    await passes()
    assert bench.observer.heard == ["failed: RuntimeError('a bug')"]
    await bench.flusher.settle()


async def test_settling_waits_for_all_that_was_asked_for() -> None:
    bench = Bench()
    log = bench.log()
    bench.produce(log)
    settling = asyncio.ensure_future(bench.flusher.settle())
    await passes()
    bench.produce(log)
    await bench.worker.do_next()
    assert not settling.done()
    await bench.worker.do_next()
    assert settling.done()
    assert log.flushed_end == 2


async def test_a_log_without_room_to_prepare_its_flush_is_tried_again_and_holds_up_no_other() -> None:
    bench = Bench()
    cramped, good = bench.log("cramped"), bench.log("good")
    prepare = cramped.flush_target

    def refuse() -> Target:
        raise OSError(errno.ENOSPC, "No space left on device")

    cramped.flush_target = refuse  # type: ignore[method-assign]
    bench.produce(cramped)
    bench.produce(good)
    await passes()
    await bench.worker.do_next()
    assert (good.flushed_end, cramped.flushed_end) == (1, 0)
    assert set(bench.observer.heard) == {"full"}
    assert not bench.flusher.failed
    await bench.flusher.settle()
    cramped.flush_target = prepare  # type: ignore[method-assign]
    bench.flusher.retry()
    await passes()
    await bench.worker.do_next()
    assert cramped.flushed_end == 1


async def test_a_log_that_wants_another_flush_gets_one() -> None:
    bench = Bench()
    log = bench.log()
    log.needs_flush = True
    bench.produce(log)
    await passes()
    await bench.worker.do_next()
    log.needs_flush = False
    await bench.worker.do_next()
    assert not bench.worker.queue
    assert log.heard == 2


async def test_new_names_are_durable_with_the_next_flush_of_any_log() -> None:
    bench = Bench()
    log = bench.log()
    bench.disk.make_directories(ROOT / "new")
    bench.flusher.add_names(ROOT)
    log.new = False
    bench.produce(log)
    await passes()
    await bench.worker.do_next()
    bench.disk.power_cut()
    assert bench.disk.exists(ROOT / "new")

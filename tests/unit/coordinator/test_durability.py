"""What was answered is there after any crash, and nothing is answered before it is durable."""

from __future__ import annotations

import asyncio
import errno
import re

import pytest

from streamkeep_common.methods import DESCRIBE_QUORUM, WATCH
from streamkeep_coordinator import snapshotter
from streamkeep_coordinator.storage import wal
from streamkeep_coordinator.storage.storage import Storage
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import WatchRequest
from streamkeep_proto.v1.raft_pb2 import DescribeQuorumRequest
from tests.sim.seeds import seeds
from tests.unit.coordinator.world import DATA, World, simulate


@pytest.mark.parametrize("power_cut", [False, True])
def test_topics_survive_a_kill_and_a_power_cut(power_cut: bool) -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(1)
        await world.create("a", "b")
        await world.restart(power_cut=power_cut)
        assert await world.topic_names() == ["a", "b"]

    simulate(scenario)


def test_each_start_is_a_new_term_of_the_same_cluster() -> None:
    async def scenario(world: World) -> None:
        for _ in range(3):
            await world.stop()
            await world.start()
        names = world.disk.list_directory(DATA)
        assert "identity.json" in names
        assert world.disk.exists(DATA / "log-00000000000000000001.wal")

    simulate(scenario)


@pytest.mark.parametrize("seed", seeds(20))
def test_what_was_answered_survives_power_cuts_at_any_moment(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients create and the power fails, over and over, with segments and snapshots of the smallest size."""
    monkeypatch.setattr(wal, "SEGMENT_BYTES", 2_000)
    monkeypatch.setattr(snapshotter, "TRAILING_ENTRIES", 3)
    answered: list[str] = []

    async def create(world: World, client: int) -> None:
        for number in range(1000):
            name = f"t-{len(answered)}-{client}-{number}"
            await world.create(name)
            answered.append(name)

    async def scenario(world: World) -> None:
        rng = world.simulation.rng("test")
        brokers = await world.live_brokers(1)
        for _ in range(6):
            clients = [asyncio.create_task(create(world, client)) for client in range(4)]
            await asyncio.sleep(rng.uniform(0.0, 0.03))
            world.machine.kill()
            await asyncio.gather(*clients, return_exceptions=True)
            world.disk.power_cut()
            await world.restart(power_cut=True)
            assert set(answered) <= set(await world.topic_names())
            await brokers[0].join()
        assert not world.failures

    simulate(scenario, seed, snapshot_entries="10")
    assert answered


def test_changes_that_come_together_share_a_flush() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(1)
        before = world.disk.file_syncs
        await asyncio.gather(*(world.create(f"t{number}") for number in range(100)))
        assert world.disk.file_syncs - before <= 20

    simulate(scenario)


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_failed_flush_is_final_and_what_waits_is_refused(operation: str) -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(1)
        await world.create("safe")
        world.disk.fail(operation, error=errno.EIO)  # type: ignore[arg-type]
        answers = await asyncio.gather(*(world.create(f"lost-{number}") for number in range(3)))
        codes = {each.error.code for each in answers}
        assert errors_pb2.UNAVAILABLE in codes
        assert codes <= {errors_pb2.UNAVAILABLE, errors_pb2.NOT_ACTIVE}
        assert [type(each) for each in world.failures] == [OSError]
        assert (await world.create("later")).error.code == errors_pb2.NOT_ACTIVE
        world.disk.heal()
        await world.restart(power_cut=True)
        assert "safe" in await world.topic_names()

    simulate(scenario)


def test_a_bug_on_the_way_to_the_log_ends_the_process_and_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(1)

        def stumble(_storage: Storage, **_what: object) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(Storage, "write", stumble)
        error = (await world.create("t")).error
        assert error.code == errors_pb2.UNAVAILABLE
        assert "a bug" in error.message
        assert [type(each) for each in world.failures] == [ValueError]

    simulate(scenario)


def test_a_snapshot_takes_the_place_of_old_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "SEGMENT_BYTES", 1_000)
    monkeypatch.setattr(snapshotter, "TRAILING_ENTRIES", 5)

    async def scenario(world: World) -> None:
        await world.live_brokers(1)
        names = [f"t{number:02}" for number in range(40)]
        for name in names:
            await world.create(name)
        await asyncio.sleep(1)
        files = world.disk.list_directory(DATA)
        assert sum(name.endswith(".snap") for name in files) == 1
        assert "log-00000000000000000001.wal" not in files
        await world.restart(power_cut=True)
        assert await world.topic_names() == names

    simulate(scenario, snapshot_entries="10")


def test_a_corrupt_log_is_set_aside_and_the_coordinator_says_so() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(1)
        await world.create("a")
        world.disk.flip_bit(DATA / "log-00000000000000000001.wal", 60, 3)
        await world.restart()
        assert (await world.create("b")).error.code == errors_pb2.NOT_INITIALIZED
        quorum = await world.client.call(DESCRIBE_QUORUM, DescribeQuorumRequest(), timeout_s=5)
        assert quorum.error.code == errors_pb2.NOT_INITIALIZED
        assert re.search(r"log-0+1\.wal is damaged at byte 0", quorum.error.message)
        assert any(name.startswith("damaged-") for name in world.disk.list_directory(DATA))

    simulate(scenario)


def test_a_stop_ends_streams_with_a_word_and_does_not_wait_for_them() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(2)
        broker = world.broker(3)
        await broker.open()
        watch = world.client.open(WATCH)
        await watch.send(WatchRequest())
        await watch.half_close()
        last = await watch.receive()
        assert last is not None
        loop = asyncio.get_running_loop()
        started = loop.time()
        await world.stop()
        assert loop.time() - started < 0.5
        assert (await broker.stream.receive()).error.code == errors_pb2.SHUTTING_DOWN  # type: ignore[union-attr]
        while (response := await watch.receive()) is not None:
            last = response
        assert last.error.code == errors_pb2.SHUTTING_DOWN

    simulate(scenario)

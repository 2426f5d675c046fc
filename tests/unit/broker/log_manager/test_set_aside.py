"""Logs that are not to be used: they are set aside, kept, and never met again as the partition's."""

from __future__ import annotations

from pathlib import Path

from tests.sim.simulation import Simulation
from tests.unit.broker.log_manager.host import ONE, TOPIC_ID, TWO, Host, acknowledge, create, read_all
from tests.unit.broker.simulated import simulated


def logs_in(host: Host, directory: Path) -> list[str]:
    return [name for name in host.disk.list_directory(directory) if name.startswith("t-")]


@simulated
async def test_a_log_that_is_set_aside_keeps_its_files_and_makes_room_for_another(sim: Simulation) -> None:
    host = Host(sim, directories=(ONE, TWO))
    manager = await host.start()
    await acknowledge(manager, create(manager), b"old")
    manager.set_aside(TOPIC_ID, 0)
    assert manager.get(TOPIC_ID, 0) is None
    log = create(manager, directory=1)
    await acknowledge(manager, log, b"new")
    written = await read_all(log)
    await manager.stop()
    (aside,) = logs_in(host, ONE)
    assert aside.endswith(".misplaced")
    manager = await host.start()
    assert manager.clean_start
    (log,) = manager
    assert log.path.parent == TWO
    assert await read_all(log) == written
    await manager.stop()


@simulated
async def test_of_two_logs_of_one_partition_the_later_one_is_kept(sim: Simulation) -> None:
    """The disk failed when the first was to be set aside, and works again."""
    host = Host(sim, directories=(ONE, TWO))
    manager = await host.start()
    await acknowledge(manager, create(manager), b"old")
    host.disk.fail("rename", under=ONE)
    manager.set_aside(TOPIC_ID, 0)
    await acknowledge(manager, create(manager, directory=1), b"new", b"newer")
    host.die()
    host.disk.heal()
    manager = await host.start()
    (log,) = manager
    assert log.path.parent == TWO
    assert log.log_end_offset == 2
    (aside,) = logs_in(host, ONE)
    assert aside.endswith(".misplaced")
    await manager.stop()

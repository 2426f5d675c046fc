"""A process that runs out of file descriptors: whatever fails for that, no disk is blamed."""

from __future__ import annotations

import asyncio
import errno

import pytest

from streamkeep_common.errors import StorageFailedError
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1 import broker_pb2
from tests.sim.simulation import Simulation
from tests.unit.broker.log_manager.host import (
    Host,
    acknowledge,
    append,
    create,
    until_flushed,
)
from tests.unit.broker.simulated import simulated


@simulated
async def test_a_process_out_of_descriptors_does_not_blame_the_disk(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start()
    log, other = create(manager), create(manager, 1)
    host.disk.max_open_files = 0
    with pytest.raises(StorageFailedError, match="Too many open files"):
        append(manager, other, b"x")
    assert manager.directories[0].state == broker_pb2.ONLINE
    host.disk.max_open_files = 1
    for _ in range(10):
        await acknowledge(manager, log, b"x")
    await manager.stop()


@simulated
async def test_more_partitions_than_descriptors_can_be_written_at_once(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(max_open_files=1000)
    logs = [create(manager, number) for number in range(100)]
    host.disk.max_open_files = 20
    for _ in range(3):
        for log in logs:
            append(manager, log, b"x")
        for log in logs:
            await until_flushed(log)
    assert manager.directories[0].state == broker_pb2.ONLINE
    host.die(power_cut=True)
    manager = await host.start()
    assert [log.log_end_offset for log in manager] == [3] * 100
    await manager.stop()


@simulated
async def test_a_log_that_cannot_be_tidied_up_does_not_keep_the_others_from_it(sim: Simulation) -> None:
    host = Host(sim)
    manager = await host.start(retention_check_ms=1000)
    bad, good = (create(manager, number, segment_bytes=4096) for number in (0, 1))
    for log in (bad, good):
        for _ in range(3):
            await acknowledge(manager, log, bytes(4000))
            await asyncio.sleep(0.1)
        log.settings = TopicSettings.of({"retention_ms": "1"})
    host.disk.fail("write", error=errno.EMFILE, under=bad.path)
    await asyncio.sleep(2)
    assert good.log_start_offset == 3
    assert not manager.directories[0].is_offline
    host.disk.heal()
    await asyncio.sleep(2)
    assert bad.log_start_offset == 3
    await manager.stop()

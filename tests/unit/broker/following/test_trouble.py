"""Trouble of one replica is its own: others go on, and it comes back when the trouble is over."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.errors import DiskFullError
from tests.sim.simulation import Simulation
from tests.unit.broker.following.stacks import SHARED, TOPIC_ID, Stack, Stacks
from tests.unit.broker.simulated import simulated


def spoil_pushes(stack: Stack, times: int) -> None:
    """So many pushes to partition 0 come with a bit flipped."""
    append_frames = stack.logs.append_frames
    left = times

    def spoilt(log: PartitionLog, frames: bytes, **where: Any) -> None:
        nonlocal left
        if log.partition == 0 and left:
            left -= 1
            frames = frames[:-1] + bytes([frames[-1] ^ 1])
        append_frames(log, frames, **where)

    stack.logs.append_frames = spoilt  # type: ignore[method-assign]


async def parted(sim: Simulation) -> Stacks:
    """Broker 3 has led, and written what nobody else has; it will hear of the next leader when it is told."""
    brokers = await Stacks.sharing(sim, leader=3)
    for other in (1, 2):
        sim.fabric.cut_both("broker3", f"broker{other}")
    for _ in range(4):
        brokers[3].produce(b"nobody else has this")
    log = brokers[3].log
    await brokers.until(lambda: log.flushed_end_offset == log.log_end_offset)
    brokers.elect(1, to=(1, 2))
    brokers.elect(1, isr=(1, 2), to=(1, 2))
    pending = brokers[1].produce(b"in its place")
    await brokers.until(lambda: pending.is_acknowledged)
    sim.fabric.heal()
    return brokers


async def cutting(sim: Simulation) -> Stacks:
    """Broker 3 cuts its log, and does not get on with it before its workers resume."""
    brokers = await parted(sim)
    brokers[3].machine.workers.stall()
    brokers.tell()
    await brokers.until(lambda: brokers[3].log.is_suspended)
    return brokers


@simulated
async def test_a_push_that_changed_on_its_way_is_asked_for_again(sim: Simulation) -> None:
    brokers = Stacks(sim, partitions=2)
    await brokers.start()
    spoil_pushes(brokers[2], 3)
    pending = [brokers[1].produce(*SHARED, partition=number) for number in (0, 1)]
    await brokers.until(lambda: pending[1].is_acknowledged)
    assert not pending[0].is_done
    await brokers.until(lambda: pending[0].is_acknowledged, within_s=2.0)
    assert brokers[2].counts.corrupt_pushes == 3
    await brokers.until_equal()


@simulated
async def test_a_full_disk_is_tried_again_until_there_is_room(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start(isr=(1, 2))
    await brokers.until_equal()
    disk = brokers[3].disk
    disk.set_capacity(disk.used())
    brokers[1].produce(*SHARED)
    await brokers.until_equal(1, 2)
    await brokers.client.clock.sleep(3.0)
    assert brokers[3].log.log_end_offset == 0
    disk.set_capacity(1 << 40)
    await brokers.until_equal()


def fill_up(stack: Stack, times: int) -> None:
    """So many pushes find no room; the space that is free is never the same."""
    append_frames = stack.logs.append_frames
    left = times

    def refused(log: PartitionLog, frames: bytes, **where: Any) -> None:
        nonlocal left
        if left:
            left -= 1
            raise DiskFullError(f"{left} bytes free")
        append_frames(log, frames, **where)

    stack.logs.append_frames = refused  # type: ignore[method-assign]


def test_a_trouble_that_goes_on_is_said_once_and_again_when_it_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @simulated
    async def story(sim: Simulation) -> None:
        brokers = Stacks(sim)
        await brokers.start(isr=(1, 2))
        for _ in range(2):
            await brokers.until_equal()
            fill_up(brokers[3], 5)
            brokers[1].produce(*SHARED)
            await brokers.until_equal()

    story()
    assert caplog.text.count("cannot follow its leader for now") == 2


@simulated
async def test_a_follower_with_a_full_disk_still_says_what_it_has(sim: Simulation) -> None:
    """A leader of a new epoch may count it, as long as nothing new is written."""
    brokers = await Stacks.sharing(sim)
    disk = brokers[3].disk
    disk.set_capacity(disk.used())
    brokers[1].produce(b"no room for this on broker 3")
    await brokers.until(lambda: brokers[2].log.flushed_end_offset == 6)
    brokers[2].kill()
    brokers.elect(1, isr=(1, 3))
    await brokers.client.clock.sleep(2.0)
    assert brokers[1].log.high_watermark == 5
    disk.set_capacity(1 << 40)
    await brokers.until_equal(1, 3)


@simulated
async def test_a_damaged_replica_is_told_once_and_copied_when_it_was_put_aside(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
    stack = brokers[3]
    path = stack.log.segments[0].path
    await stack.logs.checkpoint()
    stack.kill()
    brokers.elect(1, isr=(1, 2))
    stack.disk.flip_bit(path, 150, 3)
    await brokers.restart(3)
    assert stack.log.defects
    await brokers.until(lambda: bool(stack.damaged))
    brokers.tell()
    await brokers.client.clock.sleep(2.0)
    assert stack.damaged == [stack.partition]
    await stack.machine.spawn(stack.logs.quarantine(stack.log))
    brokers.tell()
    await brokers.until_equal()


@simulated
async def test_a_replica_that_is_elected_while_its_log_is_cut_leads_when_that_is_done(
    sim: Simulation,
) -> None:
    brokers = await cutting(sim)
    brokers.elect(3, isr=(3,))
    await brokers.client.clock.sleep(1.0)
    assert not brokers[3].partition.leads
    assert brokers[3].produce(b"too early").error is not None
    brokers[3].machine.workers.resume()
    await brokers.until(lambda: brokers[3].partition.leads)
    assert brokers[3].log.log_end_offset == 5
    brokers[3].produce(b"now")
    await brokers.until_equal()


@simulated
async def test_a_new_leader_is_followed_when_the_cut_for_the_last_one_is_done(sim: Simulation) -> None:
    brokers = await cutting(sim)
    brokers.elect(2, isr=(1, 2))
    await brokers.client.clock.sleep(1.0)
    brokers[3].machine.workers.resume()
    await brokers.until_equal()


@simulated
async def test_a_log_is_not_led_before_there_is_room_to_end_its_cut(sim: Simulation) -> None:
    brokers = await parted(sim)
    log = brokers[3].log
    brokers[3].disk.fail("sync", error=errno.ENOSPC, under=log.path)
    brokers.tell()
    await brokers.until(lambda: log.is_suspended)
    await brokers.client.clock.sleep(3.0)
    assert log.is_suspended
    brokers.elect(3, isr=(3,))
    await brokers.client.clock.sleep(1.0)
    assert not brokers[3].partition.leads
    brokers[3].disk.heal()
    await brokers.until(lambda: brokers[3].partition.leads)
    brokers[3].produce(b"whole again")
    await brokers.until_equal()


@simulated
async def test_a_broker_that_stops_brings_a_cut_to_its_end(sim: Simulation) -> None:
    brokers = await cutting(sim)
    brokers[3].machine.workers.resume()
    await brokers[3].stop()
    await brokers.restart(3)
    await brokers.until_equal()


@simulated
async def test_a_log_that_is_deleted_while_it_is_cut_is_left_alone(sim: Simulation) -> None:
    brokers = await cutting(sim)
    stack = brokers[3]
    assert stack.partition.is_being_cut
    stack.machine.process.call(stack.following.leave, stack.partition, None)
    stack.machine.process.call(stack.logs.delete, TOPIC_ID, 0)
    stack.machine.workers.resume()
    await brokers.until(lambda: len(stack.following) == 0)
    assert not stack.failures


@simulated
async def test_a_disk_that_fails_for_ever_while_a_log_is_cut_is_nobody_elses_trouble(sim: Simulation) -> None:
    brokers = await parted(sim)
    stack = brokers[3]
    stack.disk.fail("sync", under=stack.log.path)
    brokers.tell()
    await brokers.until(lambda: stack.logs.directories[0].is_offline)
    await brokers.client.clock.sleep(2.0)
    brokers.elect(2, isr=(1, 2))
    brokers[2].produce(b"without broker 3")
    await brokers.until_equal(1, 2)
    brokers.elect(3, isr=(3,))
    await brokers.client.clock.sleep(2.0)
    assert not stack.partition.leads and not stack.failures

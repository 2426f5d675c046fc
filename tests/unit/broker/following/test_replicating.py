"""Replication by the real parts of brokers: however a follower's log differs, it becomes its leader's."""

from __future__ import annotations

from streamkeep_common.methods import REPLICATE
from streamkeep_proto.v1.replication_pb2 import FollowStart, ReplicateRequest
from tests.sim.simulation import Simulation
from tests.unit.broker.following.stacks import MIB, SHARED, TOPIC_ID, Stacks
from tests.unit.broker.simulated import simulated


@simulated
async def test_what_is_produced_is_acknowledged_when_all_in_sync_have_it_on_disk(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    pending = brokers[1].produce(b"a", b"b")
    assert not pending.is_done
    await brokers.until(lambda: pending.is_acknowledged, within_s=0.5)
    assert brokers[2].log.flushed_end_offset == brokers[3].log.flushed_end_offset == 2
    await brokers.until_equal()


@simulated
async def test_followers_learn_the_watermark_at_once_when_all_is_idle(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    pending = brokers[1].produce(b"a")
    await brokers.until(lambda: pending.is_acknowledged)
    await brokers.until(lambda: brokers[2].log.high_watermark == 1, within_s=0.1)


@simulated
async def test_an_empty_follower_gets_all_that_its_leader_has(sim: Simulation) -> None:
    brokers = Stacks(sim)
    for broker_id in (1, 2):
        await brokers[broker_id].start()
    brokers.elect(1, isr=(1, 2), to=(1, 2))
    for value in SHARED:
        brokers[1].produce(value)
    await brokers.until(lambda: brokers[1].log.high_watermark == len(SHARED))
    await brokers.restart(3)
    await brokers.until_equal()


@simulated
async def test_a_follower_that_was_away_goes_on_where_it_was(sim: Simulation) -> None:
    brokers = await Stacks.sharing(sim)
    brokers[3].kill()
    brokers.elect(1, isr=(1, 2))
    brokers[1].produce(b"while it was away")
    await brokers.until_equal(1, 2)
    await brokers.restart(3)
    await brokers.until_equal()


@simulated
async def test_a_follower_that_lost_what_was_not_flushed_goes_on_where_it_is(sim: Simulation) -> None:
    brokers = await Stacks.sharing(sim)
    brokers[1].produce(b"on its way")
    brokers[3].kill(power_cut=True)
    await brokers.restart(3)
    await brokers.until_equal()


@simulated
async def test_a_follower_never_keeps_what_its_leader_lacks(sim: Simulation) -> None:
    """The leader of the past has records that nobody else got, and others were written in their place."""
    brokers = await Stacks.sharing(sim)
    brokers.simulation.fabric.cut_both("broker1", "broker2")
    brokers.simulation.fabric.cut_both("broker1", "broker3")
    lost = brokers[1].produce(b"never acknowledged")
    brokers.elect(2, isr=(1, 2, 3), to=(2, 3))
    brokers.elect(2, isr=(2, 3), to=(2, 3))
    brokers[2].produce(b"in its place", b"and more")
    await brokers.until_equal(2, 3)
    assert not lost.is_done and brokers[1].log.log_end_offset == 6
    brokers.simulation.fabric.heal()
    brokers.tell(to=[1])
    await brokers.until_equal()
    assert lost.error is not None


@simulated
async def test_a_leader_that_comes_back_with_a_longer_log_is_cut_back(sim: Simulation) -> None:
    brokers = await Stacks.sharing(sim)
    for other in ("broker2", "broker3"):
        brokers.simulation.fabric.cut_both("broker1", other)
    for number in range(10):
        brokers[1].produce(b"nobody else has %d" % number)
    await brokers.until(lambda: brokers[1].log.flushed_end_offset == 15)
    brokers[1].kill()
    brokers.simulation.fabric.heal()
    brokers.elect(3, isr=(2, 3))
    await brokers.restart(1)
    await brokers.until_equal()
    assert brokers[1].log.log_end_offset == 5


@simulated
async def test_logs_that_parted_more_than_once_are_joined_epoch_by_epoch(sim: Simulation) -> None:
    """KIP-279: each of two replicas has epochs that the other never saw."""
    brokers = Stacks(sim)
    await brokers.start()
    fabric = brokers.simulation.fabric
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
    for one, other in (("broker1", "broker2"), ("broker1", "broker3"), ("broker2", "broker3")):
        fabric.cut_both(one, other)
    for leader in (1, 2, 1, 2, 2, 1):
        brokers.elect(leader, to=[leader])
        brokers[leader].produce(b"broker %d alone" % leader, b"and again")
    await brokers.until(lambda: all(_is_flushed(brokers, each) for each in (1, 2)))
    fabric.heal()
    brokers.elect(2)
    await brokers.until_equal()
    *written, _newest = brokers[2].log.leader_epochs.starts
    assert brokers[1].log.leader_epochs.starts == written


@simulated
async def test_an_emptied_disk_is_filled_again(sim: Simulation) -> None:
    brokers = await Stacks.sharing(sim)
    brokers[2].kill()
    brokers.elect(1, isr=(1, 3))
    brokers[2].disk.remove_tree(brokers[2].logs.directories[0].path)
    await brokers.restart(2)
    await brokers.until_equal()


@simulated
async def test_a_follower_below_its_leaders_start_begins_anew_there(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(b"old")
    await brokers.until_equal()
    brokers[3].kill()
    brokers.elect(1, isr=(1, 2))
    for value in SHARED:
        brokers[1].produce(value)
    await brokers.until_equal(1, 2)
    brokers[1].partition.delete_records(4)
    await brokers.restart(3)
    await brokers.until(lambda: brokers[3].log.log_end_offset == 6)
    assert brokers[3].log.log_start_offset == 4


@simulated
async def test_who_has_all_that_was_not_deleted_loses_no_offset_on_the_way(sim: Simulation) -> None:
    """The leader knows none of its epochs any more. It may be in sync: its end must never go back."""
    brokers = await Stacks.sharing(sim)
    brokers[3].kill()
    brokers.elect(2, isr=(1, 2))
    brokers[2].produce(b"more")
    await brokers.until_equal(1, 2)
    brokers[2].partition.delete_records(5)
    await brokers.restart(3)
    ends = []

    def has_all() -> bool:
        ends.append(brokers[3].log.log_end_offset)
        return brokers[3].log.high_watermark == 6

    await brokers.until(has_all)
    assert min(ends) == 5
    assert brokers[3].log.log_start_offset == 5


@simulated
async def test_a_leader_whose_start_is_within_a_batch_can_be_followed(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start(isr=(1,))
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
    brokers[3].kill()
    brokers[1].partition.delete_records(2)
    brokers[3].disk.remove_tree(brokers[3].logs.directories[0].path)
    await brokers.restart(3)
    await brokers.until(lambda: brokers[3].log.high_watermark == 5)
    assert brokers[3].log.log_start_offset == 2
    brokers[1].produce(b"more")
    await brokers.until_equal(1, 2)
    await brokers.until(lambda: brokers[3].log.high_watermark == 6)


@simulated
async def test_a_follower_whose_start_is_past_its_leaders_end_begins_anew(sim: Simulation) -> None:
    """A leader by decree has less than the follower has deleted already."""
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(b"a")
    await brokers.until_equal()
    brokers[2].kill()
    brokers.elect(1, isr=(1, 3))
    for value in SHARED:
        brokers[1].produce(value)
    await brokers.until_equal(1, 3)
    brokers[1].partition.delete_records(5)
    await brokers.until(lambda: brokers[3].log.log_start_offset == 5)
    await brokers.restart(2)
    brokers.elect(2, isr=(2,))
    await brokers.until(lambda: brokers[3].log.log_end_offset == brokers[2].log.log_end_offset)


@simulated
async def test_who_is_far_behind_catches_up_on_the_other_stream_and_comes_back(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start(isr=(1, 2))
    await brokers.until_equal()
    brokers[3].kill()
    for _ in range(40):
        brokers[1].produce(bytes(MIB // 4))
    await brokers.until_equal(1, 2)
    asked: list[FollowStart] = []

    def tap(source: str, _target: str, data: bytes) -> None:
        if source == "broker3":
            asked.extend(ReplicateRequest.FromString(data).start)

    sim.fabric.taps[REPLICATE.path] = tap
    await brokers.restart(3)
    await brokers.until_equal()
    assert [start.log_end_offset for start in asked[:2]] == [0, 0], "first live, then on the other stream"
    assert len(asked) == 3 and asked[2].log_end_offset > 0, "and live again when it was nearly there"
    pending = brokers[1].produce(b"live")
    await brokers.until(lambda: pending.is_acknowledged)
    await brokers.until_equal()


@simulated
async def test_without_flushes_a_topic_is_acknowledged_from_memory(sim: Simulation) -> None:
    brokers = Stacks(sim, topic={"durability": "os"})
    await brokers.start()
    for stack in brokers.stacks.values():
        stack.machine.workers.stall()
    pending = brokers[1].produce(*SHARED)
    await brokers.until(lambda: pending.is_acknowledged, within_s=0.1)
    for stack in brokers.stacks.values():
        stack.machine.workers.resume()


@simulated
async def test_nothing_is_acknowledged_that_a_follower_in_sync_has_not_flushed(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    brokers[2].machine.workers.stall()
    pending = brokers[1].produce(*SHARED)
    await brokers.until(lambda: brokers[2].log.log_end_offset == 5)
    await brokers.client.clock.sleep(2.0)
    assert not pending.is_done
    brokers[2].machine.workers.resume()
    await brokers.until(lambda: pending.is_acknowledged, within_s=0.1)


def _is_flushed(brokers: Stacks, broker_id: int) -> bool:
    log = brokers[broker_id].log
    return log.flushed_end_offset == log.log_end_offset


def test_the_topic_of_these_tests_has_an_id_of_the_right_size() -> None:
    assert len(TOPIC_ID) == 16

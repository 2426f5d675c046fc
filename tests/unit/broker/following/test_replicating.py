"""Replication by the real parts of brokers: however a follower's log differs, it becomes its leader's."""

from __future__ import annotations

from streamkeep_common.methods import REPLICATE
from streamkeep_proto.v1.replication_pb2 import FollowerHello, FollowStart, ReplicateRequest
from tests.sim.simulation import Simulation
from tests.unit.broker.following.stacks import CLUSTER_ID, MIB, TOPIC_ID, Stacks, simulated

SHARED = [b"shared %d" % number for number in range(5)]


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
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
    brokers[3].kill()
    brokers.elect(1, isr=(1, 2))
    brokers[1].produce(b"while it was away")
    await brokers.until_equal(1, 2)
    await brokers.restart(3)
    await brokers.until_equal()


@simulated
async def test_a_follower_that_lost_what_was_not_flushed_goes_on_where_it_is(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
    brokers[1].produce(b"on its way")
    brokers[3].kill(power_cut=True)
    await brokers.restart(3)
    await brokers.until_equal()


@simulated
async def test_a_follower_never_keeps_what_its_leader_lacks(sim: Simulation) -> None:
    """The leader of the past has records that nobody else got, and others were written in their place."""
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
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
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
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
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
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
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
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
async def test_a_leader_learns_from_its_follower_that_it_leads_no_more(sim: Simulation) -> None:
    """It is cut off from the coordinators, and not from its followers."""
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
    brokers.elect(2, to=(2, 3))
    pending = brokers[1].produce(b"too late")
    await brokers.until(lambda: pending.is_done, within_s=0.5)
    assert pending.error is not None
    assert pending.error.leader is not None and pending.error.leader.broker_id == 2
    brokers.tell()
    await brokers.until_equal()


@simulated
async def test_a_follower_that_knows_a_leader_before_the_leader_does_asks_again(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    brokers.elect(2, to=(1, 3))
    await brokers.client.clock.sleep(2.0)
    brokers.tell()
    pending = brokers[2].produce(b"a")
    await brokers.until(lambda: pending.is_acknowledged, within_s=1.5)


@simulated
async def test_a_new_leader_is_followed_within_some_milliseconds(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
    brokers[1].kill()
    brokers.elect(2, isr=(2, 3))
    pending = brokers[2].produce(b"a")
    await brokers.until(lambda: pending.is_acknowledged, within_s=0.1)


@simulated
async def test_a_broken_connection_is_made_again_at_once(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    await brokers.client.clock.sleep(2.0)
    sim.fabric.break_connections("broker1", "broker2")
    pending = brokers[1].produce(b"a")
    await brokers.until(lambda: pending.is_acknowledged, within_s=0.1)


@simulated
async def test_a_leader_that_stands_still_is_left_and_taken_up_again(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
    brokers[1].machine.process.pause()
    await brokers.client.clock.sleep(3.0)
    brokers[1].machine.process.resume()
    pending = brokers[1].produce(b"awake")
    await brokers.until(lambda: pending.is_acknowledged, within_s=1.5)
    await brokers.until_equal()


@simulated
async def test_a_start_from_an_older_stream_that_is_heard_late_does_not_silence_the_newer_one(
    sim: Simulation,
) -> None:
    """A leader that stood still finds what was said on several connections, in any order."""
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
    older = brokers[3].machine.network.dial(brokers[1].address).open(REPLICATE)
    hello = FollowerHello(broker_id=3, broker_epoch=brokers[3].epoch, cluster_id=CLUSTER_ID, leader_id=1)
    await older.send(ReplicateRequest(hello=hello))
    start = FollowStart(
        subscription=1,
        topic_id=TOPIC_ID,
        leader_epoch=1,
        log_end_offset=5,
        flushed_end_offset=5,
        last_epoch=1,
    )
    await older.send(ReplicateRequest(start=[start]))
    await brokers.client.clock.sleep(0.1)
    older.cancel()
    pending = brokers[1].produce(b"a")
    await brokers.until(lambda: pending.is_acknowledged, within_s=1.0)


@simulated
async def test_nobody_follows_before_it_is_registered(sim: Simulation) -> None:
    brokers = Stacks(sim)
    brokers[3].is_registered = False
    await brokers.start(isr=(1, 2))
    brokers[1].produce(*SHARED)
    await brokers.until_equal(1, 2)
    assert brokers[3].log.log_end_offset == 0
    brokers[3].is_registered = True
    await brokers.until_equal()


@simulated
async def test_a_follower_that_registered_anew_counts_under_its_new_epoch(sim: Simulation) -> None:
    """The same process, a new registration: its streams say who it was."""
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].produce(*SHARED)
    await brokers.until_equal()
    brokers[3].epoch += 1
    brokers.tell()
    pending = brokers[1].produce(b"a")
    await brokers.until(lambda: pending.is_acknowledged, within_s=2.0)


@simulated
async def test_many_partitions_share_a_stream_and_their_acknowledgements_messages(sim: Simulation) -> None:
    count = 100
    brokers = Stacks(sim, partitions=count)
    await brokers.start()
    messages: list[ReplicateRequest] = []

    def tap(source: str, _target: str, data: bytes) -> None:
        if source == "broker3":
            messages.append(ReplicateRequest.FromString(data))

    sim.fabric.taps[REPLICATE.path] = tap
    pending = [brokers[1].produce(b"a", partition=number) for number in range(count)]
    await brokers.until(lambda: all(each.is_acknowledged for each in pending))
    assert sum(len(message.acks) for message in messages) >= count
    assert len(messages) < count // 4
    await brokers.until_equal()


@simulated
async def test_streams_are_open_while_there_is_something_to_follow(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    await brokers.until(lambda: brokers[1].counts.streams == 2)
    await brokers.client.clock.sleep(30.0)
    assert brokers[1].counts.streams == 2
    brokers.elect(2)
    await brokers.until(lambda: brokers[1].counts.streams == 0)
    brokers.elect(1)
    pending = brokers[1].produce(b"a")
    await brokers.until(lambda: pending.is_acknowledged, within_s=0.2)


@simulated
async def test_a_leader_is_followed_to_its_new_address(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    brokers[1].kill()
    brokers[1].address = "broker1:7301"
    await brokers.restart(1)
    pending = brokers[1].produce(b"a")
    await brokers.until(lambda: pending.is_acknowledged, within_s=0.5)


@simulated
async def test_a_broker_that_stops_ends_its_streams_in_order(sim: Simulation) -> None:
    brokers = Stacks(sim)
    await brokers.start()
    pending = brokers[1].produce(*SHARED)
    await brokers.until(lambda: pending.is_acknowledged)
    await brokers[3].stop()
    brokers.elect(1, isr=(1, 2))
    await brokers.restart(3)
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

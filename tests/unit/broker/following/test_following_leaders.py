"""Replication by the real parts of brokers: whom a follower follows, over which streams, and when no more."""

from __future__ import annotations

from streamkeep_common.methods import REPLICATE
from streamkeep_proto.v1.replication_pb2 import FollowerHello, FollowStart, ReplicateRequest
from tests.sim.simulation import Simulation
from tests.unit.broker.following.stacks import CLUSTER_ID, SHARED, TOPIC_ID, Stacks
from tests.unit.broker.simulated import simulated


@simulated
async def test_a_leader_learns_from_its_follower_that_it_leads_no_more(sim: Simulation) -> None:
    """It is cut off from the coordinators, and not from its followers."""
    brokers = await Stacks.sharing(sim)
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
    brokers = await Stacks.sharing(sim)
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
    brokers = await Stacks.sharing(sim)
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
    brokers = await Stacks.sharing(sim)
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
    brokers = await Stacks.sharing(sim)
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

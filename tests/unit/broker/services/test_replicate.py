"""What followers can rely on, and what they cannot do to their leader."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import pytest

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.read import LogSlice
from streamkeep_broker.services import push_stream
from streamkeep_common.errors import CorruptLogError, NotLeaderError, ShuttingDownError, to_proto
from streamkeep_common.limits import MIB
from streamkeep_common.seams import RpcError, Status
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.broker_pb2 import Closing
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from streamkeep_proto.v1.replication_pb2 import FollowStart, ReplicateRequest
from tests.unit.broker.log_manager.host import TOPIC_ID, read_all
from tests.unit.broker.replication.led import image
from tests.unit.broker.services.pushing import THREE, TWO, FollowerClient, Pushing, simulated


@simulated
async def test_a_follower_gets_the_log_as_it_stands_and_what_is_appended_at_once(world: Pushing) -> None:
    await world.start()
    world.append(b"a")
    world.append(b"b", b"c")
    follower = await world.follower()
    await follower.start()
    await follower.until_offset(3)
    world.append(b"d")
    await follower.until_offset(4)
    log = world.partition.log
    await world.until(lambda: log.flushed_end_offset == 4)
    assert follower.frames() == await read_all(log)
    assert [push.previous_end_offset for push in follower.pushes if push.frames] == [0, 3]
    assert world.counts.bytes == log.size_bytes


@simulated
async def test_a_batch_is_acknowledged_by_one_round_trip_and_the_watermark_is_news_at_once(
    world: Pushing,
) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start()
    pending = world.append(b"a")
    await follower.until_offset(1)
    assert follower.pushes[-1].high_watermark == 0
    await follower.ack(1)
    before = world.machine.clock.monotonic()
    await follower.until(lambda: follower.pushes[-1].high_watermark == 1)
    assert not follower.pushes[-1].frames
    assert pending.is_acknowledged
    assert world.machine.clock.monotonic() - before < 0.1


@simulated
async def test_a_follower_that_has_not_flushed_acknowledges_nothing(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start()
    pending = world.append(b"a")
    await follower.until_offset(1)
    await follower.ack(1, flushed=0)
    await follower.receive()
    assert not pending.is_done
    await follower.ack(1)
    await world.until(lambda: pending.is_acknowledged)


@simulated
async def test_news_of_many_partitions_shares_a_response(world: Pushing) -> None:
    await world.start(partitions=50)
    follower = await world.follower()
    for number in range(50):
        await follower.start(number + 1, partition=number)
    for number in range(50):
        world.append(b"a", partition=number)
    await follower.until(lambda: all(follower.next_offset(number + 1) for number in range(50)))
    assert len([response for response in follower.responses if response.pushes]) <= 52


@simulated
async def test_an_idle_stream_beats_and_a_silent_follower_is_let_go(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start()
    beating = asyncio.ensure_future(follower.keep_beating(world.machine.clock.sleep))
    for _ in range(6):
        before = world.machine.clock.monotonic()
        assert await follower.receive() is not None
        assert world.machine.clock.monotonic() - before <= 0.5
    assert world.counts.streams == 1
    beating.cancel()
    with pytest.raises(RpcError, match="silent"):
        while await follower.receive() is not None:
            pass
    assert world.counts.streams == 0
    assert world.partition.leadership is not None
    assert world.partition.leadership.followers == 0


# --- who is let in ---


@pytest.mark.parametrize("wrong", ["leader", "cluster", "epoch", "broker"])
def test_a_hello_that_is_not_meant_for_this_broker_is_refused(wrong: str) -> None:
    hello: dict[str, dict[str, object]] = {
        "leader": {"leader_id": 2},
        "cluster": {"cluster_id": "D" * 22},
        "epoch": {"broker_epoch": 0},
        "broker": {"broker_id": 0},
    }

    @simulated
    async def scenario(world: Pushing) -> None:
        await world.start()
        said = dict(hello[wrong])
        follower = await world.follower(said.pop("broker_id", TWO), **said)  # type: ignore[arg-type]
        with pytest.raises(RpcError) as refused:
            await follower.receive()
        assert refused.value.status in {Status.FAILED_PRECONDITION, Status.INVALID_ARGUMENT}

    scenario()


@simulated
async def test_a_start_under_another_leader_epoch_is_refused_and_the_stream_goes_on(world: Pushing) -> None:
    await world.start()
    world.apply(image(isr=(1, 2), leader_epoch=3, partition_epoch=2))
    follower = await world.follower()
    for subscription, (leader_epoch, code) in enumerate(
        [(2, errors_pb2.FENCED_LEADER_EPOCH), (4, errors_pb2.UNKNOWN_LEADER_EPOCH)], start=1
    ):
        await follower.start(subscription, leader_epoch=leader_epoch)
        assert (await follower.until_end(subscription)).error.code == code
    await follower.start(3, leader_epoch=3)
    world.append(b"a")
    await follower.until_offset(1, 3)


@simulated
async def test_who_does_not_lead_says_so(world: Pushing) -> None:
    await world.start()
    world.apply(image(leader=2, leader_epoch=2, partition_epoch=2))
    follower = await world.follower(THREE)
    await follower.start(leader_epoch=2)
    assert (await follower.until_end()).error.code == errors_pb2.NOT_LEADER
    await follower.start(2, topic_id=b"?" * 16)
    assert (await follower.until_end(2)).error.code == errors_pb2.UNKNOWN_TOPIC


@simulated
async def test_an_older_registration_is_refused_and_a_new_one_ends_the_subscriptions_of_the_old(
    world: Pushing,
) -> None:
    await world.start()
    follower = await world.follower(broker_epoch=1)
    await follower.start()
    await follower.receive()
    world.broker_epochs[TWO] = 2
    world.apply(image(isr=(1, 2)))
    assert (await follower.until_end()).error.code == errors_pb2.STALE_BROKER_EPOCH
    await follower.start(2)
    assert (await follower.until_end(2)).error.code == errors_pb2.STALE_BROKER_EPOCH


@simulated
async def test_who_is_no_replica_is_refused(world: Pushing) -> None:
    await world.start()
    follower = await world.follower(4)
    await follower.start()
    assert (await follower.until_end()).error.code == errors_pb2.REPLICA_NOT_AVAILABLE


@simulated
async def test_a_new_leader_epoch_ends_what_was_followed_under_the_old_one(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start()
    await follower.receive()
    world.apply(image(isr=(1, 2), leader_epoch=2, partition_epoch=2))
    assert (await follower.until_end()).error.code == errors_pb2.NOT_LEADER
    pending = world.append(b"a")
    await follower.ack(1)
    await follower.receive()
    assert not pending.is_done


# --- where logs part ---


@simulated
async def test_a_follower_past_the_leaders_end_is_told_where_they_part(world: Pushing) -> None:
    await world.start()
    world.append(b"a", b"b")
    follower = await world.follower()
    await follower.start(at=7, last_epoch=1)
    end = await follower.until_end()
    assert (end.diverged.leader_epoch, end.diverged.end_offset) == (1, 2)
    assert world.partition.high_watermark == 0, "what it has beyond the leader acknowledges nothing"


@simulated
async def test_a_follower_with_an_unknown_tail_is_told_where_they_part(world: Pushing) -> None:
    await world.start()
    world.append(b"a", b"b")
    world.apply(image(isr=(1, 2), leader_epoch=5, partition_epoch=2))
    world.append(b"c")
    follower = await world.follower()
    await follower.start(at=3, last_epoch=4, leader_epoch=5)
    end = await follower.until_end()
    assert (end.diverged.leader_epoch, end.diverged.end_offset) == (1, 2)
    await follower.start(2, at=2, last_epoch=1, leader_epoch=5)
    await follower.until_offset(3, 2)
    assert follower.of(2)[0].previous_end_offset == 2


@simulated
async def test_a_follower_below_the_log_start_begins_anew_where_a_frame_begins(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    for values in ((b"a", b"b"), (b"c", b"d", b"e"), (b"f",)):
        world.append(*values)
    await follower.start()
    await follower.until_offset(6)
    await follower.ack(6)
    await world.until(lambda: world.partition.high_watermark == 6)
    world.partition.delete_records(3)
    again = await world.follower(THREE)
    await again.start(at=1, last_epoch=1)
    assert (await again.until_end()).restart_offset == 2, "offset 3 is within the batch that begins at 2"
    await again.start(2, at=3)
    assert (await again.until_end(2)).restart_offset == 2
    await again.start(3, at=2)
    await again.until_offset(6, 3)
    assert again.of(3)[0].log_start_offset == 3


@simulated
async def test_a_follower_without_records_goes_on_at_its_end_if_a_frame_begins_there(world: Pushing) -> None:
    await world.start()
    world.append(b"a", b"b")
    world.append(b"c")
    follower = await world.follower()
    await follower.start(at=2)
    await follower.until_offset(3)
    await follower.start(2, at=1)
    assert (await follower.until_end(2)).restart_offset == 0
    await follower.start(3, at=9)
    assert (await follower.until_end(3)).restart_offset == 0


# --- what a follower may not say ---


@pytest.mark.parametrize(("end", "flushed"), [(2, 2), (1, 2), (-1, -1), (1, -1)])
def test_what_was_never_pushed_cannot_be_acknowledged(end: int, flushed: int) -> None:
    @simulated
    async def scenario(world: Pushing) -> None:
        await world.start()
        follower = await world.follower()
        await follower.start()
        pending = world.append(b"a")
        await follower.until_offset(1)
        await follower.ack(end, flushed)
        with pytest.raises(RpcError) as broken:
            while await follower.receive() is not None:
                pass
        assert broken.value.status is Status.INVALID_ARGUMENT
        assert not pending.is_done

    scenario()


@simulated
async def test_a_log_that_cannot_be_is_refused(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start(at=1, flushed=2)
    with pytest.raises(RpcError) as broken:
        await follower.receive()
    assert broken.value.status is Status.INVALID_ARGUMENT


@simulated
async def test_acknowledgements_and_stops_of_what_has_ended_are_no_error(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.ack(5, subscription=9)
    await follower.stop(9)
    await follower.start()
    world.append(b"a")
    await follower.until_offset(1)


# --- leaving ---


@simulated
async def test_what_was_stopped_is_pushed_no_more_and_counts_no_more(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start()
    await follower.receive()
    await follower.stop()
    assert world.partition.leadership is not None
    leadership = world.partition.leadership
    await world.until(lambda: leadership.followers == 0)
    world.append(b"a")
    await follower.receive()
    assert follower.next_offset() == 0
    assert world.partition.leads


@simulated
async def test_a_leader_that_is_told_of_a_newer_one_leads_no_more(world: Pushing) -> None:
    await world.start()
    follower, other = await world.follower(), await world.follower(THREE)
    await follower.start()
    await other.start()
    pending = world.append(b"a")
    await follower.until_offset(1)
    hint = LeaderHint(broker_id=TWO, address="b:1", leader_epoch=2)
    await follower.stop(newer=hint)
    await world.until(lambda: not world.partition.leads)
    assert isinstance(pending.error, NotLeaderError)
    assert pending.error.leader == hint
    assert (await other.until_end()).error.code == errors_pb2.NOT_LEADER


@simulated
async def test_the_newest_stream_of_a_follower_is_the_one_that_counts(world: Pushing) -> None:
    await world.start()
    older, newer = await world.follower(), await world.follower()
    await older.start()
    await older.receive()
    await newer.start()
    await newer.receive()
    pending = world.append(b"a")
    await newer.until_offset(1)
    await older.ack(0)
    await newer.ack(1)
    await world.until(lambda: pending.is_acknowledged)
    assert older.next_offset() == 0


@simulated
async def test_a_stopping_broker_says_so_and_a_half_closed_stream_ends_well(world: Pushing) -> None:
    await world.start()
    staying, leaving = await world.follower(), await world.follower(THREE)
    await staying.start()
    await staying.receive()
    await leaving.stream.half_close()
    while await leaving.receive() is not None:
        pass
    world.service.close(Closing(error=to_proto(ShuttingDownError("stopping"))))
    while await staying.receive() is not None:
        pass
    assert staying.closing is not None
    assert staying.closing.error.code == errors_pb2.SHUTTING_DOWN


# --- windows, lanes and rates ---


@simulated
async def test_no_more_than_the_window_is_sent_ahead_of_the_acknowledgements(world: Pushing) -> None:
    await world.start(window_bytes=4 * MIB)
    await world.fill(3 * MIB)
    follower = await world.follower()
    await follower.start()
    beating = asyncio.ensure_future(follower.keep_beating(world.machine.clock.sleep))
    for _ in range(4):
        await follower.receive()
    sent = follower.next_offset()
    assert MIB <= len(follower.frames()) <= 2 * MIB + 300_000
    await follower.ack(sent)
    await follower.until(lambda: follower.next_offset() > sent)
    beating.cancel()


@simulated
async def test_who_is_far_behind_is_sent_to_the_other_stream_and_back(world: Pushing) -> None:
    await world.start()
    await world.fill(6 * MIB)
    live = await world.follower(THREE)
    await live.start()
    assert (await live.until_end()).behind
    catching_up = await world.follower(THREE, catch_up=True)
    await catching_up.start()
    assert (await catching_up.until_end()).caught_up
    reached = catching_up.next_offset()
    await live.start(2, at=reached, last_epoch=1)
    await live.until(lambda: world.partition.log.log_end_offset in {reached, live.next_offset(2)})
    assert catching_up.frames() + live.frames(2) == await read_all(world.partition.log)


@simulated
async def test_who_lacks_little_is_not_taken_on_the_stream_for_catching_up(world: Pushing) -> None:
    await world.start()
    await world.fill(MIB // 2)
    follower = await world.follower(catch_up=True)
    await follower.start()
    assert (await follower.until_end()).caught_up
    assert not follower.frames()


@simulated
async def test_a_follower_whose_share_is_stuck_leaves_the_live_stream(world: Pushing) -> None:
    await world.start(partitions=2, window_bytes=16 * MIB)
    follower = await world.follower()
    await follower.start()
    await follower.start(2, partition=1)
    beating = asyncio.ensure_future(follower.keep_beating(world.machine.clock.sleep))
    for _ in range(4):
        await world.fill(3 * MIB)
        while follower.next_offset() * 250_000 < 4 * MIB and await follower.receive():
            if follower.next_offset() == world.partition.log.log_end_offset:
                break
    assert (await follower.until_end()).behind
    world.append(b"a", partition=1)
    await follower.until_offset(1, 2)
    beating.cancel()


@simulated
async def test_catching_up_keeps_to_the_topics_rate_and_the_live_stream_does_not_know_it(
    world: Pushing,
) -> None:
    await world.start(catch_up_rate_bytes=1_000_000)
    await world.fill(4 * MIB)
    live, slow = await world.follower(), await world.follower(THREE, catch_up=True)
    beating = asyncio.ensure_future(slow.keep_beating(world.machine.clock.sleep))
    before = world.machine.clock.monotonic()
    await live.start()
    await live.until_offset(16)
    assert world.machine.clock.monotonic() - before < 0.5
    before = world.machine.clock.monotonic()
    await slow.start()
    assert (await slow.until_end()).caught_up
    elapsed_s = world.machine.clock.monotonic() - before
    assert 2.0 < elapsed_s < 5.0
    beating.cancel()


# --- disks ---


@simulated
async def test_a_corrupt_partition_ends_its_subscription_only_and_is_reported(world: Pushing) -> None:
    await world.start(partitions=2)
    damaged: list[object] = []
    world.partition.on_damaged = damaged.append
    world.append(b"a" * 100)
    world.append(b"a", partition=1)
    log = world.partition.log
    await world.until(lambda: log.flushed_end_offset == 1)
    path = log.path / f"{0:020d}.log"
    world.host.disk.flip_bit(path, 40, 0)
    follower = await world.follower()
    await follower.start()
    await follower.start(2, partition=1)
    assert (await follower.until_end()).error.code == errors_pb2.CORRUPT_LOG
    await follower.until_offset(1, 2)
    assert damaged == [world.partition]


@pytest.mark.parametrize(
    ("trouble", "code"), [("bit", errors_pb2.CORRUPT_LOG), ("EIO", errors_pb2.STORAGE_FAILED)]
)
def test_damage_where_the_log_starts_is_reported_when_somebody_is_to_begin_there(
    trouble: str, code: int
) -> None:
    @simulated
    async def scenario(world: Pushing) -> None:
        await world.start()
        damaged: list[object] = []
        world.partition.on_damaged = damaged.append
        world.append(b"a", b"b")
        world.append(b"c")
        log = world.partition.log
        await world.until(lambda: log.flushed_end_offset == 3)
        log.advance_high_watermark(3)
        world.partition.delete_records(1)
        path = log.path / f"{0:020d}.log"
        if trouble == "bit":
            world.host.disk.flip_bit(path, 20, 3)
        else:
            world.host.disk.cached = False
            world.host.disk.fail("read", under=path)
        follower = await world.follower()
        await follower.start()
        assert (await follower.until_end()).error.code == code
        assert damaged == [world.partition]

    scenario()


@simulated
async def test_what_cannot_be_read_of_a_log_that_is_led_no_more_is_not_taken_for_damage(
    world: Pushing,
) -> None:
    await world.start()
    damaged: list[object] = []
    world.partition.on_damaged = damaged.append
    world.append(b"a", b"b")

    async def hand_over(*_: object, **__: object) -> LogSlice:
        world.apply(image(leader=3, leader_epoch=2, partition_epoch=2))
        raise CorruptLogError("it is cut just now")

    follower = await world.follower()
    with patch.object(PartitionLog, "read", hand_over):
        await follower.start(at=1)
        assert (await follower.until_end()).error.code == errors_pb2.NOT_LEADER
    assert damaged == []


@simulated
async def test_what_the_leader_itself_is_slow_to_look_at_is_not_the_followers_silence(world: Pushing) -> None:
    await world.start(partitions=6)
    starts = []
    for number in world.hosted.by_number:
        world.append(b"a", b"b", partition=number)
        starts.append(
            FollowStart(
                subscription=number + 1,
                topic_id=TOPIC_ID,
                partition=number,
                leader_epoch=1,
                log_end_offset=1,
                flushed_end_offset=1,
            )
        )
    follower = await world.follower()
    beating = asyncio.ensure_future(follower.keep_beating(world.machine.clock.sleep))
    read = PartitionLog.read

    async def read_slowly(*where: Any, **what: Any) -> LogSlice:
        await world.machine.clock.sleep(0.3)
        return await read(*where, **what)

    with patch.object(PartitionLog, "read", read_slowly):
        await follower.send(ReplicateRequest(start=starts))
        assert (await follower.until_end(6)).restart_offset == 0
    beating.cancel()


def test_a_follower_that_asks_and_reads_no_answer_is_asked_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each refused start is an answer that waits for its turn."""
    monkeypatch.setattr(push_stream, "MAX_FOLLOWED", 20)
    monkeypatch.setattr(push_stream, "ENDINGS_PER_RESPONSE", 5)

    @simulated
    async def scenario(world: Pushing) -> None:
        await world.start()
        follower = await world.follower()
        most = 0
        asking = asyncio.ensure_future(ask(follower))
        while not asking.done():
            await world.machine.clock.sleep(0.001)
            for stream in world.service._streams:
                most = max(most, len(stream._endings))  # type: ignore[attr-defined]
            if most >= 20:
                break
        await world.machine.clock.sleep(0.1)
        assert most <= 21
        await follower.until_end(2000)
        await asking

    async def ask(follower: FollowerClient) -> None:
        for number in range(2000):
            await follower.start(number + 1, topic_id=b"?" * 16)

    scenario()


@simulated
async def test_a_stream_that_begins_without_a_hello_is_refused(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.stream.half_close()
    while await follower.receive() is not None:
        pass
    stranger = await world.follower(0)
    await stranger.send(ReplicateRequest())
    with pytest.raises(RpcError, match="first says who it is"):
        await stranger.receive()

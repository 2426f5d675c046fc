"""The part that a replica plays: leader, follower, leaderless; and what it learns, and when it steps down."""

from __future__ import annotations

import pytest

from streamkeep_common.errors import (
    FencedLeaderEpochError,
    NotLeaderError,
    OffsetNotAvailableError,
    OffsetOutOfRangeError,
    UnknownLeaderEpochError,
)
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from tests.unit.broker.log.logs import append_values
from tests.unit.broker.replication.led import Led, Reader, image


def following(**topic: object) -> Led:
    world = Led(**topic)
    world.apply(image(leader=2))
    return world


def test_a_follower_refuses_producers_and_says_that_it_does_not_lead() -> None:
    world = following()
    pending = world.append()
    assert isinstance(pending.error, NotLeaderError)
    assert (world.partition.leads, world.partition.follows, world.partition.leader) == (False, True, 2)


def test_a_partition_without_a_leader_neither_leads_nor_follows() -> None:
    world = Led()
    world.apply(image(leader=0, isr=()))
    assert not world.partition.leads
    assert not world.partition.follows
    assert isinstance(world.append().error, NotLeaderError)


def test_what_waits_when_leadership_goes_is_answered_with_the_new_leader() -> None:
    world = Led()
    world.apply(image())
    world.follow(2)
    pending = world.append()
    hint = LeaderHint(broker_id=2, address="b:1", leader_epoch=2)
    world.partition.apply(image(leader=2, leader_epoch=2, partition_epoch=2), hint, brokers={})
    assert isinstance(pending.error, NotLeaderError)
    assert pending.error.leader == hint


def test_a_follower_learns_the_watermark_up_to_what_it_has_on_disk() -> None:
    world = following()
    reader = Reader()
    world.partition.add_reader(reader)
    append_values(world.log, [b"a", b"b"])
    world.partition.learn(high_watermark=5, log_start_offset=0)
    assert (world.high_watermark, reader.moves) == (0, 0)
    world.flush()
    assert (world.high_watermark, reader.moves) == (2, 1)
    append_values(world.log, [b"c"])
    world.flush()
    assert (world.high_watermark, reader.moves) == (3, 2)


def test_a_followers_watermark_never_goes_back() -> None:
    world = following()
    append_values(world.log, [b"a", b"b"])
    world.flush()
    world.partition.learn(high_watermark=2, log_start_offset=0)
    world.partition.learn(high_watermark=1, log_start_offset=0)
    assert world.high_watermark == 2


def test_what_an_earlier_leader_said_is_not_applied_to_what_the_next_one_sends() -> None:
    world = following()
    world.partition.learn(high_watermark=5, log_start_offset=0)
    world.apply(image(leader=3, leader_epoch=2, partition_epoch=2))
    append_values(world.log, [b"a"])
    world.flush()
    assert world.high_watermark == 0


def test_a_follower_adopts_the_log_start_as_far_as_its_watermark_goes() -> None:
    world = following()
    reader = Reader()
    world.partition.add_reader(reader)
    append_values(world.log, [b"a", b"b", b"c"])
    world.flush()
    world.partition.learn(high_watermark=2, log_start_offset=3)
    assert (world.log.log_start_offset, reader.moves) == (2, 1)


def test_whoever_flushes_is_told() -> None:
    world = following()
    moved: list[int] = []
    world.partition.on_moved = lambda: moved.append(world.log.flushed_end_offset)
    append_values(world.log, [b"a"])
    world.flush()
    assert moved == [1]


def test_a_leader_that_hears_of_a_newer_one_acknowledges_nothing_any_more() -> None:
    world = Led()
    world.apply(image(isr=(1, 2)))
    two = world.follow(2)
    reader = Reader()
    world.partition.add_reader(reader)
    pending = world.append()
    world.flush()
    hint = LeaderHint(broker_id=2, address="b:1", leader_epoch=2)
    leadership = world.leadership
    world.partition.step_down(hint)
    assert isinstance(pending.error, NotLeaderError)
    assert pending.error.leader == hint
    for told in (two.error, reader.error, world.append().error):
        assert isinstance(told, NotLeaderError)
    leadership.acknowledge(two, 1, 1)
    assert world.high_watermark == 0
    assert not world.partition.leads


def test_after_stepping_down_only_a_newer_epoch_makes_it_lead() -> None:
    world = Led()
    world.apply(image())
    world.partition.step_down(LeaderHint(broker_id=2, leader_epoch=2))
    world.apply(image(partition_epoch=2))
    assert not world.partition.leads
    world.apply(image(leader_epoch=3, partition_epoch=3))
    assert world.partition.leads


def test_who_has_stepped_down_names_the_newer_leader_whatever_older_image_comes() -> None:
    world = Led()
    older = LeaderHint(broker_id=1, address="a:1", leader_epoch=1)
    world.apply(image(), hint=older)
    newer = LeaderHint(broker_id=2, address="b:1", leader_epoch=2)
    world.partition.step_down(newer)
    world.apply(image(isr=(1, 2), partition_epoch=2), hint=older)
    assert told_leader(world) == newer
    newest = LeaderHint(broker_id=3, address="c:1", leader_epoch=3)
    world.apply(image(leader=3, leader_epoch=3, partition_epoch=3), hint=newest)
    assert told_leader(world) == newest
    world.apply(image(leader=0, leader_epoch=4, partition_epoch=4), hint=None)
    assert told_leader(world) is None


def told_leader(world: Led) -> LeaderHint | None:
    """Whom a client is sent to."""
    error = world.append().error
    assert isinstance(error, NotLeaderError)
    return error.leader


def test_nobody_steps_down_for_an_older_epoch_or_the_own_one() -> None:
    world = Led()
    world.apply(image(leader_epoch=4))
    for leader_epoch in (3, 4):
        world.partition.step_down(LeaderHint(broker_id=2, leader_epoch=leader_epoch))
    assert world.partition.leads


def test_followers_are_told_which_side_is_behind() -> None:
    world = Led()
    world.apply(image(leader_epoch=4))
    with pytest.raises(FencedLeaderEpochError):
        world.partition.check_leads_in(3)
    with pytest.raises(UnknownLeaderEpochError):
        world.partition.check_leads_in(5)
    assert world.partition.check_leads_in(4) is world.leadership
    world.apply(image(leader=2, leader_epoch=5, partition_epoch=2))
    with pytest.raises(UnknownLeaderEpochError):
        world.partition.check_leads_in(6)
    with pytest.raises(NotLeaderError):
        world.partition.check_leads_in(5)


def test_a_new_leader_does_not_tell_its_watermark_before_it_knows_it() -> None:
    world = following()
    append_values(world.log, [b"a", b"b"])
    world.flush()
    world.apply(image(isr=(1, 2), leader_epoch=2, partition_epoch=2))
    with pytest.raises(OffsetNotAvailableError):
        world.partition.check_watermark_known()
    world.follow(2)
    world.partition.check_watermark_known()


def test_who_has_read_in_an_epoch_that_never_wrote_here_is_told_however_long_the_log_is() -> None:
    """KIP-320: the longer log of an older epoch was elected, so nothing was cut from it; the record that the
    reader has seen is another one here all the same."""
    world = Led()
    append_values(world.log, [b"a", b"b", b"c"])
    world.apply(image(isr=(1,), leader_epoch=6, partition_epoch=2))
    world.partition.check_position(2, 1)
    with pytest.raises(OffsetOutOfRangeError, match="leader epoch 5"):
        world.partition.check_position(2, 5)


def test_deleted_records_are_told_to_followers_and_readers() -> None:
    world = Led()
    world.apply(image(isr=(1, 2)))
    two, reader = world.follow(2), Reader()
    world.partition.add_reader(reader)
    world.append(3)
    world.flush()
    world.acknowledge(two, 3)
    before = two.moves, reader.moves
    world.partition.delete_records(2)
    assert (two.moves, reader.moves) == (before[0] + 1, before[1] + 1)
    assert world.log.log_start_offset == 2

"""What a leader acknowledges, to whom it listens, and what it proposes."""

from __future__ import annotations

import pytest

from streamkeep_broker.replication.leadership import Leadership
from streamkeep_common.errors import (
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    ReplicaNotAvailableError,
    StaleBrokerEpochError,
)
from tests.unit.broker.log.logs import settings
from tests.unit.broker.replication.led import Led, image


def led(isr: tuple[int, ...] = (1, 2, 3), **topic: object) -> Led:
    led = Led(**topic)
    led.apply(image(isr=isr))
    return led


# --- the high watermark ---


def test_a_batch_is_acknowledged_when_every_member_has_it_on_disk() -> None:
    world = led()
    two, three = world.follow(2), world.follow(3)
    pending = world.append()
    world.flush()
    world.acknowledge(two, 1)
    assert not pending.is_done
    world.acknowledge(three, 1)
    assert pending.is_acknowledged
    assert world.high_watermark == 1


def test_a_follower_that_never_flushes_holds_the_acknowledgement_back() -> None:
    world = led()
    two, three = world.follow(2), world.follow(3)
    pending = world.append()
    world.flush()
    world.acknowledge(two, 1)
    world.acknowledge(three, 1, flushed=0)
    assert not pending.is_done
    assert world.high_watermark == 0


def test_with_durability_os_what_is_in_the_logs_is_acknowledged() -> None:
    world = led(durability="os")
    two, three = world.follow(2), world.follow(3)
    pending = world.append()
    world.acknowledge(two, 1, flushed=0)
    world.acknowledge(three, 1, flushed=0)
    assert pending.is_acknowledged


def test_the_leaders_own_flush_counts_too() -> None:
    world = led()
    two, three = world.follow(2), world.follow(3)
    pending = world.append()
    world.acknowledge(two, 1)
    world.acknowledge(three, 1)
    assert not pending.is_done
    world.flush()
    assert pending.is_acknowledged


def test_where_a_follower_begins_is_its_first_acknowledgement() -> None:
    world = led()
    pending = world.append()
    world.flush()
    world.follow(2)
    assert not pending.is_done
    world.follow(3)
    assert pending.is_acknowledged


def test_a_member_that_was_not_heard_of_in_this_epoch_holds_everything_back() -> None:
    world = led()
    world.follow(2)
    world.follow(3)
    world.apply(image(leader_epoch=2, partition_epoch=2))
    world.append()
    world.flush()
    world.follow(2)
    assert world.high_watermark == 0


def test_a_replica_out_of_sync_is_not_waited_for() -> None:
    world = led(isr=(1, 2))
    pending = world.append()
    world.flush()
    world.follow(2)
    assert pending.is_acknowledged


# --- whose acknowledgements count ---


def test_an_acknowledgement_under_an_older_epoch_counts_for_nothing() -> None:
    world = led(isr=(1, 2))
    two = world.follow(2)
    before = world.leadership
    world.apply(image(isr=(1, 2), leader_epoch=2, partition_epoch=2))
    assert two.error is not None
    pending = world.append()
    world.flush()
    before.acknowledge(two, 1, 1)
    assert not pending.is_done
    assert world.high_watermark == 0


def test_an_acknowledgement_of_an_older_registration_counts_for_nothing() -> None:
    world = led(isr=(1, 2))
    two = world.follow(2)
    pending = world.append()
    world.flush()
    world.apply(image(isr=(1, 2)), epochs={2: 2})
    assert isinstance(two.error, StaleBrokerEpochError)
    world.acknowledge(two, 1)
    assert not pending.is_done
    with pytest.raises(StaleBrokerEpochError):
        world.follow(2)
    world.follow(2, broker_epoch=2)
    assert pending.is_acknowledged


def test_a_new_registration_makes_what_was_acknowledged_unknown() -> None:
    world = led(isr=(1, 2))
    world.append()
    world.flush()
    world.follow(2)
    assert world.high_watermark == 1
    world.apply(image(isr=(1, 2)), epochs={2: 2})
    pending = world.append()
    world.flush()
    world.follow(2, at=1, broker_epoch=2)
    assert not pending.is_done


def test_only_the_newest_subscription_of_a_follower_counts() -> None:
    world = led(isr=(1, 2))
    older = world.follow(2)
    newer = world.follow(2)
    assert older.is_replaced
    pending = world.append()
    world.flush()
    world.acknowledge(older, 1)
    assert not pending.is_done
    world.acknowledge(newer, 1)
    assert pending.is_acknowledged
    assert (older.appends, newer.appends) == (0, 1)


def test_who_is_no_replica_or_not_registered_cannot_follow() -> None:
    world = led()
    for follower_id, broker_epoch in ((1, 1), (4, 1)):
        with pytest.raises(ReplicaNotAvailableError):
            world.follow(follower_id, broker_epoch=broker_epoch)
    with pytest.raises(StaleBrokerEpochError):
        world.follow(2, broker_epoch=7)


def test_a_replica_that_is_taken_away_is_served_no_more() -> None:
    world = led()
    three = world.follow(3)
    world.apply(image(isr=(1, 2), replicas=(1, 2), partition_epoch=2))
    assert isinstance(three.error, ReplicaNotAvailableError)


def test_followers_are_woken_by_the_append_itself_and_told_of_the_watermark() -> None:
    world = led(isr=(1, 2))
    two = world.follow(2)
    world.append()
    assert (two.appends, two.moves) == (1, 0)
    world.flush()
    world.acknowledge(two, 1)
    assert two.moves == 1


# --- min ISR ---


def test_below_min_isr_a_batch_is_refused_before_it_is_appended() -> None:
    world = led(isr=(1,))
    pending = world.append()
    assert isinstance(pending.error, NotEnoughReplicasError)
    assert pending.error.message == (
        "flights-0 needs 2 replicas in sync (min_insync_replicas), and of brokers 1, 2, 3 only these are: 1"
    )
    assert world.log.log_end_offset == 0


def test_what_waits_when_too_few_are_left_is_answered_at_once() -> None:
    world = led(isr=(1, 2))
    pending = world.append()
    world.apply(image(isr=(1,), partition_epoch=2))
    assert isinstance(pending.error, NotEnoughReplicasAfterAppendError)
    assert world.log.log_end_offset == 1


def test_below_min_isr_the_watermark_is_frozen_and_goes_on_with_the_next_member() -> None:
    world = led(isr=(1, 2))
    world.append()
    world.apply(image(isr=(1,), partition_epoch=2))
    world.flush()
    assert world.high_watermark == 0
    world.follow(2)
    assert world.high_watermark == 0
    world.apply(image(isr=(1, 2), partition_epoch=3))
    assert world.high_watermark == 1


def test_a_stricter_min_isr_answers_what_waits() -> None:
    world = led(isr=(1, 2))
    pending = world.append()
    world.partition.change_settings(settings(min_insync_replicas=3))
    assert isinstance(pending.error, NotEnoughReplicasAfterAppendError)


def test_a_duplicate_is_answered_when_it_is_safe_and_refused_while_it_cannot_be() -> None:
    world = led(isr=(1, 2))
    two = world.follow(2)
    world.append()
    world._sequence = 0
    again = world.append()
    assert not again.is_done
    assert again.base_offset == 0
    world.flush()
    world.acknowledge(two, 1)
    assert again.is_acknowledged
    assert world.log.log_end_offset == 1


def test_replicas_that_a_reassignment_adds_are_not_asked_for_yet() -> None:
    world = Led()
    world.apply(image(isr=(1,), replicas=(1, 2, 3), adding=(2, 3)))
    pending = world.append()
    world.flush()
    assert pending.is_acknowledged


# --- the in-sync set ---


def test_an_addition_counts_before_the_proposal_is_sent() -> None:
    world = led(isr=(1, 2))
    two = world.follow(2)
    three = world.follow(3)
    assert world.due == 1
    members = world.propose()
    assert members is not None
    assert [(each.broker_id, each.broker_epoch) for each in members] == [(1, 1), (2, 1), (3, 1)]
    pending = world.append()
    world.flush()
    world.acknowledge(two, 1)
    assert not pending.is_done
    world.acknowledge(three, 1)
    assert pending.is_acknowledged


def test_an_addition_that_was_refused_counts_no_more() -> None:
    world = led(isr=(1, 2))
    two = world.follow(2)
    world.follow(3)
    world.propose()
    pending = world.append()
    world.flush()
    world.acknowledge(two, 1)
    world.leadership.isr_refused()
    assert pending.is_acknowledged


def test_an_addition_of_unknown_outcome_counts_until_the_image_moves() -> None:
    world = led(isr=(1, 2))
    two = world.follow(2)
    world.follow(3)
    world.propose()
    pending = world.append()
    world.flush()
    world.acknowledge(two, 1)
    world.leadership.isr_unknown()
    assert not pending.is_done
    world.apply(image(isr=(1, 2)), fenced=(3,))
    assert world.wanted() == [1, 2], (
        "it is what is committed, and proposed so that the first attempt is settled"
    )
    world.propose()
    world.leadership.isr_refused()
    assert not pending.is_done
    world.apply(image(isr=(1, 2), partition_epoch=2))
    assert pending.is_acknowledged


def test_a_removal_counts_until_it_is_committed() -> None:
    world = led()
    two = world.follow(2)
    world.follow(3)
    pending = world.append()
    world.flush()
    world.acknowledge(two, 1)
    world.clock.now_s += 3.1
    world.acknowledge(two, 1)
    assert [each.broker_id for each in world.propose() or []] == [1, 2]
    assert not pending.is_done
    world.apply(image(isr=(1, 2), partition_epoch=2))
    assert pending.is_acknowledged


def test_a_member_that_is_never_heard_of_leaves_after_the_lag() -> None:
    world = led()
    two = world.follow(2)
    world.append()
    world.clock.now_s += 2.9
    world.acknowledge(two, 1)
    assert world.wanted() is None
    world.clock.now_s += 0.2
    assert world.wanted() == [1, 2]


def test_an_idle_follower_does_not_lag_and_has_its_whole_time_when_work_comes() -> None:
    world = led(isr=(1, 2))
    world.follow(2)
    for _ in range(100):
        world.clock.now_s += 0.5
        assert world.wanted() is None
    world.append()
    world.clock.now_s += 2.9
    assert world.wanted() is None
    world.clock.now_s += 0.2
    assert world.wanted() == [1]


def test_a_replica_that_is_fenced_is_not_proposed_and_is_as_soon_as_it_is_not() -> None:
    world = Led()
    world.apply(image(isr=(1, 2)), fenced=(3,))
    world.follow(2)
    world.follow(3)
    assert world.wanted() is None
    assert world.due == 0
    world.apply(image(isr=(1, 2)))
    assert world.due == 1
    assert world.wanted() == [1, 2, 3]


def test_a_replica_on_a_full_disk_does_not_keep_another_one_from_coming_back() -> None:
    """An idle partition: it has all that is acknowledged, and would be refused with whoever comes with it."""
    world = Led()
    world.apply(image(isr=(1,)), full=(3,))
    world.follow(3)
    assert (world.wanted(), world.due) == (None, 0)
    world.follow(2)
    assert world.wanted() == [1, 2]
    world.apply(image(isr=(1,)))
    assert world.wanted() == [1, 2, 3]


def test_a_move_whose_target_was_elected_is_proposed_to_be_complete() -> None:
    """The source of the only copy is gone for good: nobody else will come into sync, and end the move."""
    world = Led()
    world.apply(image(replicas=(1, 2), isr=(1,), adding=(1,), removing=(2,)))
    assert world.wanted() == [1]
    world.apply(image(replicas=(1, 3, 2), isr=(1,), adding=(1, 3), removing=(2,), partition_epoch=2))
    assert world.wanted() is None


def test_a_replica_whose_stream_is_gone_is_not_proposed() -> None:
    world = led(isr=(1, 2))
    world.follow(2)
    three = world.follow(3)
    world.leadership.remove_follower(three)
    assert world.wanted() is None


def test_who_has_not_the_start_of_the_epoch_does_not_join() -> None:
    world = led(isr=(1, 2))
    world.follow(2)
    world.append(10)
    world.flush()
    world.apply(image(isr=(1, 2), leader_epoch=2, partition_epoch=2))
    world.follow(2, at=5)
    world.follow(3, at=9)
    assert world.high_watermark == 5
    assert world.wanted() is None
    world.follow(3, at=10)
    assert world.wanted() == [1, 2, 3]


def test_who_has_just_joined_gets_as_much_time_as_any_member() -> None:
    world = led(isr=(1,), min_insync_replicas=1)
    world.append(10)
    world.follow(2, at=0)
    world.clock.now_s += 60
    world.follow(2, at=0)
    assert world.wanted() == [1, 2], "nothing is flushed, so it has all that is acknowledged"
    world.apply(image(isr=(1, 2), partition_epoch=2))
    assert world.wanted() is None
    world.clock.now_s += 3.1
    assert world.wanted() == [1]


def test_a_new_leader_keeps_its_watermark_and_raises_it_by_the_rule() -> None:
    world = led(isr=(1, 2))
    two = world.follow(2)
    world.append(3)
    world.flush()
    world.acknowledge(two, 3)
    world.append(2)
    world.flush()
    world.apply(image(isr=(1, 2), leader_epoch=2, partition_epoch=2))
    assert world.high_watermark == 3
    assert isinstance(world.leadership, Leadership)
    world.follow(2)
    assert world.high_watermark == 5

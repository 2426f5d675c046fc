"""What a leader acknowledges, and to whom it listens."""

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
from tests.unit.broker.replication.led import image, led

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

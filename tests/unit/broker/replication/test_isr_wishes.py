"""Which in-sync set a leader proposes, and what counts until that is decided."""

from __future__ import annotations

from tests.unit.broker.replication.led import Led, Pending, image, led


def test_replicas_that_a_reassignment_adds_are_not_asked_for_yet() -> None:
    world = Led()
    world.apply(image(isr=(1,), replicas=(1, 2, 3), adding=(2, 3)))
    pending = world.append()
    world.flush()
    assert pending.is_acknowledged


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


def while_an_addition_is_proposed() -> tuple[Led, Pending]:
    """Broker 3 is about to join; a batch waits that broker 2 has."""
    world = led(isr=(1, 2))
    two = world.follow(2)
    world.follow(3)
    world.propose()
    pending = world.append()
    world.flush()
    world.acknowledge(two, 1)
    return world, pending


def test_an_addition_that_was_refused_counts_no_more() -> None:
    world, pending = while_an_addition_is_proposed()
    world.leadership.isr_refused()
    assert pending.is_acknowledged


def test_an_addition_of_unknown_outcome_counts_until_the_image_moves() -> None:
    world, pending = while_an_addition_is_proposed()
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

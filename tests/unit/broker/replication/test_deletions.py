"""A deletion is done when no in-sync replica has what was deleted any more."""

from __future__ import annotations

from streamkeep_broker.replication.deletions import PendingDeletion
from streamkeep_common.errors import NotLeaderError, StreamkeepError
from tests.unit.broker.replication.led import Follower, Led, image


class Deletion(PendingDeletion):
    def __init__(self) -> None:
        self.told: list[StreamkeepError | None] = []

    def done(self, error: StreamkeepError | None) -> None:
        self.told.append(error)


def delete(world: Led, before_offset: int) -> Deletion:
    deletion = Deletion()
    world.partition.delete_records(before_offset)
    world.leadership.wait_for_log_start(deletion, before_offset)
    return deletion


def filled(isr: tuple[int, ...] = (1, 2, 3)) -> tuple[Led, Follower, Follower]:
    """Two batches, on all three."""
    world = Led()
    world.apply(image(isr=isr))
    two, three = world.follow(2), world.follow(3)
    world.append()
    world.append()
    world.flush()
    for follower in (two, three):
        world.acknowledge(follower, 2)
    assert world.high_watermark == 2
    return world, two, three


def test_every_member_must_have_the_log_start() -> None:
    world, two, three = filled()
    deletion = delete(world, 1)
    world.leadership.acknowledge(two, 2, 2, 1)
    world.leadership.acknowledge(three, 2, 2, 0)
    assert deletion.told == []
    world.leadership.acknowledge(three, 2, 2, 1)
    assert deletion.told == [None]
    world.leadership.acknowledge(two, 2, 2, 2)
    assert deletion.told == [None], "told once"


def test_who_is_not_in_sync_is_not_waited_for() -> None:
    world, two, _ = filled(isr=(1, 2))
    deletion = delete(world, 2)
    world.leadership.acknowledge(two, 2, 2, 2)
    assert deletion.told == [None]


def test_a_member_that_leaves_the_in_sync_set_is_waited_for_no_more() -> None:
    world, two, _ = filled()
    deletion = delete(world, 1)
    world.leadership.acknowledge(two, 2, 2, 1)
    world.apply(image(isr=(1, 2), partition_epoch=2))
    assert deletion.told == [None]


def test_a_leader_alone_waits_for_nobody() -> None:
    world, _, _ = filled()
    world.apply(image(isr=(1,), partition_epoch=2))
    assert delete(world, 2).told == [None]


def test_a_leader_that_leads_no_more_says_so() -> None:
    world, _, _ = filled()
    deletion = delete(world, 1)
    world.apply(image(leader=2, leader_epoch=2, partition_epoch=2))
    (error,) = deletion.told
    assert isinstance(error, NotLeaderError)


def test_who_waits_no_more_is_not_told() -> None:
    world, two, three = filled()
    deletion = delete(world, 1)
    world.leadership.forget_deletion(deletion)
    world.leadership.forget_deletion(deletion)
    for follower in (two, three):
        world.leadership.acknowledge(follower, 2, 2, 1)
    assert deletion.told == []

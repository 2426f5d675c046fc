"""When a follower was caught up last: a table of times."""

from __future__ import annotations

from streamkeep_broker.replication.progress import FollowerProgress


def progress(at: int = 0, *, leader_end: int = 0, now_s: float = 0.0) -> FollowerProgress:
    return FollowerProgress(1, log_end_offset=at, flushed_end_offset=at, leader_end=leader_end, now_s=now_s)


def test_one_that_has_everything_is_caught_up_now() -> None:
    follower = progress(5, leader_end=5)
    follower.look(5, leader_end=5, now_s=7.0)
    assert follower.caught_up_s == 7.0


def test_one_that_trails_is_caught_up_as_of_when_the_leader_had_what_it_has_now() -> None:
    follower = progress(10, leader_end=10)
    follower.look(10, leader_end=10, now_s=1.0)
    follower.look(15, leader_end=20, now_s=2.0)  # second 1's mark was 10: it had that; now it is 20
    assert follower.caught_up_s == 1.0
    follower.look(19, leader_end=30, now_s=3.0)  # short of 20: it is not known to have caught up since
    assert follower.caught_up_s == 1.0
    follower.look(20, leader_end=40, now_s=4.0)  # what the leader had at second 2
    assert follower.caught_up_s == 2.0


def test_a_steady_distance_behind_a_leader_that_goes_on_is_no_lag() -> None:
    follower = progress()
    for second in range(1, 60):
        follower.look(second * 100 - 50, leader_end=second * 100, now_s=float(second))
        assert second - follower.caught_up_s <= 2


def test_one_that_stands_still_while_the_leader_goes_on_falls_behind() -> None:
    follower = progress()
    for second in range(1, 10):
        follower.look(0, leader_end=second, now_s=float(second))
    assert follower.caught_up_s == 0.0


def test_what_is_acknowledged_late_takes_nothing_back() -> None:
    follower = progress(5)
    follower.acknowledge(9, 7)
    follower.acknowledge(8, 6)
    assert (follower.log_end_offset, follower.flushed_end_offset) == (9, 7)


def test_a_new_subscription_may_begin_below_what_was_acknowledged() -> None:
    follower = progress(9)
    follower.begin(4, 4, leader_end=9, now_s=1.0)
    assert follower.acknowledged_end("fsync") == 4


def test_durability_says_which_end_counts() -> None:
    follower = progress()
    follower.acknowledge(9, 7)
    assert follower.acknowledged_end("fsync") == 7
    assert follower.acknowledged_end("os") == 9

"""Turns, the window, its shares and rates of a replication stream."""

from __future__ import annotations

import pytest

from streamkeep_broker.services import push_session
from streamkeep_broker.services.push_session import CHUNK_BYTES, STUCK_S, PushSession, PushSubscription
from streamkeep_common.errors import InvalidRequestError


class Source:
    def __init__(self, log_end_offset: int, rate_bytes: int = -1) -> None:
        self.log_end_offset = log_end_offset
        self.rate_bytes = rate_bytes


Session = PushSession[Source]


def push_all(session: Session, *, size: int = 10, limit: int = 100, now_s: float = 0.0) -> list[int]:
    """Push whoever's turn it is, one offset of `size` bytes a time; the ids in the order of the turns."""
    order: list[int] = []
    while len(order) < limit and (subscription := session.take()) is not None:
        order.append(subscription.id)
        session.sent(subscription, size, subscription.next_offset + 1, now_s=now_s)
    return order


def start(session: Session, number: int, source: Source, *, at: int = 0) -> PushSubscription[Source]:
    return session.start(number, source, next_offset=at)


def test_what_is_pushed_ends_at_the_log_end_and_goes_on_with_the_next_append() -> None:
    session = Session(1000)
    source = Source(2)
    subscription = start(session, 1, source)
    assert push_all(session) == [1, 1]
    source.log_end_offset = 3
    session.look(subscription)
    assert session.has_turn
    assert push_all(session) == [1]


def test_partitions_take_turns() -> None:
    session = Session(1000)
    start(session, 1, Source(4))
    start(session, 2, Source(2))
    assert push_all(session) == [1, 2, 1, 2, 1, 1]


def test_the_window_stops_all_and_an_acknowledgement_opens_it() -> None:
    session = Session(100)
    one, two = start(session, 1, Source(50)), start(session, 2, Source(50))
    start(session, 3, Source(50))
    start(session, 4, Source(50))
    start(session, 5, Source(50))
    assert len(push_all(session)) == 10
    assert not session.has_turn
    session.acknowledged(one, one.next_offset, now_s=0)
    session.acknowledged(two, two.next_offset, now_s=0)
    assert session.has_turn
    assert len(push_all(session)) == 4


def test_one_that_is_not_acknowledged_leaves_the_rest_of_the_window_to_others() -> None:
    session = Session(100)
    start(session, 1, Source(1000))
    two = start(session, 2, Source(1000))
    for _ in range(20):
        push_all(session)
        session.acknowledged(two, two.next_offset, now_s=0)
    assert two.next_offset > 40


def test_a_share_that_is_used_up_and_silent_is_stuck_and_a_slow_one_is_not() -> None:
    session = Session(100)
    stuck, slow = start(session, 1, Source(1000)), start(session, 2, Source(1000))
    push_all(session, now_s=1.0)
    assert session.stuck(1.0 + STUCK_S) == []
    session.acknowledged(slow, 1, now_s=1.4)
    push_all(session, now_s=1.4)
    assert session.stuck(1.1 + STUCK_S) == [stuck]
    session.acknowledged(stuck, stuck.next_offset, now_s=1.7)
    assert session.stuck(1.8) == []


def test_what_was_never_pushed_cannot_be_acknowledged() -> None:
    session = Session(100)
    subscription = start(session, 1, Source(10))
    with pytest.raises(InvalidRequestError, match="offset 1 is acknowledged, and 0 comes next"):
        session.acknowledged(subscription, 1, now_s=0)


def test_what_an_ended_subscription_had_of_the_window_is_free() -> None:
    session = Session(100)
    for number in range(1, 5):
        start(session, number, Source(50))
    push_all(session)
    start(session, 5, Source(50))
    assert not session.has_turn
    session.stop(1)
    assert push_all(session) == [3, 4, 5]


def test_a_push_larger_than_the_window_is_sent_whole() -> None:
    session = Session(100)
    subscription = start(session, 1, Source(2))
    assert push_all(session, size=500) == [1]
    session.acknowledged(subscription, 1, now_s=0)
    assert push_all(session, size=500) == [1]


def test_news_is_told_once_and_not_where_frames_go_at_once() -> None:
    session = Session(1000)
    idle, busy = start(session, 1, Source(5), at=5), start(session, 2, Source(5))
    assert session.take_news() == [idle]
    push_all(session)
    assert session.take_news() == []
    session.moved(busy)
    session.moved(busy)
    assert session.take_news() == [busy]


def test_news_is_told_while_the_window_is_used_up() -> None:
    session = Session(100)
    waiting = [start(session, number, Source(50)) for number in range(1, 6)]
    push_all(session)
    session.moved(waiting[4])
    assert session.take_news() == [waiting[4]]


def test_a_rate_is_kept_and_slows_down_nobody_else() -> None:
    session = Session(10**9)
    throttled = start(session, 1, Source(10**6, rate_bytes=4000))
    assert throttled.chunk_bytes == 1001
    now_s, sent_bytes = 0.0, 0
    while now_s < 10:
        while (subscription := session.take()) is not None:
            session.sent(subscription, 1000, subscription.next_offset + 1, now_s=now_s)
            sent_bytes += 1000
        wait_s = session.end_rests(now_s)
        assert wait_s is not None
        now_s += wait_s
        session.end_rests(now_s)
    assert sent_bytes == pytest.approx(40_000, abs=1000)
    free = start(session, 2, Source(3))
    assert free.chunk_bytes == CHUNK_BYTES
    assert push_all(session, now_s=now_s).count(2) == 3


def test_one_that_ended_while_it_rested_is_forgotten() -> None:
    session = Session(1000)
    start(session, 1, Source(10, rate_bytes=10))
    push_all(session)
    session.stop(1)
    session.end_rests(100.0)
    assert session.take() is None


def test_a_number_in_use_is_refused_and_so_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_session, "MAX_FOLLOWED", 2)
    session = Session(1000)
    start(session, 1, Source(1))
    with pytest.raises(InvalidRequestError, match="subscription 1 is in use"):
        start(session, 1, Source(1))
    start(session, 2, Source(1))
    with pytest.raises(InvalidRequestError, match="at most 2"):
        start(session, 3, Source(1))

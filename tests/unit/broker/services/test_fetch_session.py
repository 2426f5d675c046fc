"""Turns, credit and news of a fetch stream."""

from __future__ import annotations

import pytest

from streamkeep_broker.services import fetch_session
from streamkeep_broker.services.fetch_session import FetchSession, Subscription
from streamkeep_common.errors import InvalidRequestError


class Source:
    def __init__(self, high_watermark: int) -> None:
        self.high_watermark = high_watermark


Session = FetchSession[Source]


def take_all(session: Session, *, size: int = 10, step: int = 1, limit: int = 100) -> list[int]:
    """Read whoever's turn it is, `step` offsets of `size` bytes a time; the ids in the order of the turns."""
    order: list[int] = []
    while (subscription := session.take()) is not None and len(order) < limit:
        order.append(subscription.id)
        session.sent(
            subscription, size, min(subscription.next_offset + step, subscription.source.high_watermark)
        )
    return order


def start(
    session: Session, number: int, source: Source, *, at: int = 0, credit: int = 1000
) -> Subscription[Source]:
    return session.start(number, source, next_offset=at, credit_bytes=credit)


def test_partitions_take_turns_so_that_a_long_one_does_not_starve_a_short_one() -> None:
    session = Session()
    start(session, 1, Source(5))
    start(session, 2, Source(2))
    assert take_all(session) == [1, 2, 1, 2, 1, 1, 1]


def test_nothing_is_read_without_credit_and_reading_goes_on_when_it_comes() -> None:
    session = Session()
    start(session, 1, Source(5), credit=0)
    assert take_all(session) == []
    session.credit(1, 15)
    assert take_all(session) == [1, 1]


def test_the_slice_that_crosses_the_credit_is_sent_whole_and_paid_back_first() -> None:
    session = Session()
    subscription = start(session, 1, Source(5), credit=1)
    assert take_all(session) == [1]
    assert subscription.credit_bytes == -9
    session.credit(1, 9)
    assert take_all(session) == []
    session.credit(1, 1)
    assert take_all(session) == [1]


def test_the_end_is_the_high_watermark_and_a_move_wakes_the_reader() -> None:
    session = Session()
    source = Source(2)
    subscription = start(session, 1, source)
    assert take_all(session) == [1, 1]
    source.high_watermark = 3
    session.moved(subscription)
    assert take_all(session) == [1]


def test_a_subscription_is_in_the_queue_once_however_often_it_moved() -> None:
    session = Session()
    subscription = start(session, 1, Source(3))
    for _ in range(5):
        session.moved(subscription)
    assert take_all(session, step=3) == [1]


def test_a_stopped_subscription_is_read_no_more_and_its_number_is_free() -> None:
    session = Session()
    start(session, 1, Source(3))
    assert session.stop(1) is not None
    assert session.stop(1) is None
    assert take_all(session) == []
    assert session.take_news() == []
    start(session, 1, Source(1))
    assert take_all(session) == [1]


def test_a_number_in_use_is_refused() -> None:
    session = Session()
    start(session, 1, Source(3))
    with pytest.raises(InvalidRequestError, match="subscription 1 is in use"):
        start(session, 1, Source(3))


def test_too_many_subscriptions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_session, "MAX_SUBSCRIPTIONS", 2)
    session = Session()
    start(session, 1, Source(3))
    start(session, 2, Source(3))
    with pytest.raises(InvalidRequestError, match="at most 2"):
        start(session, 3, Source(3))


def test_negative_credit_is_refused_and_credit_for_one_that_ended_is_not_an_error() -> None:
    session = Session()
    session.credit(7, 100)
    with pytest.raises(InvalidRequestError):
        session.credit(7, -1)


def test_a_new_subscription_at_the_end_is_told_the_watermark_once() -> None:
    session = Session()
    start(session, 1, Source(3), at=3)
    assert [s.id for s in session.take_news()] == [1]
    assert session.take_news() == []


def test_many_moves_without_credit_are_one_piece_of_news() -> None:
    session = Session()
    source = Source(3)
    subscription = start(session, 1, source, at=3, credit=0)
    session.take_news()
    for end in range(4, 9):
        source.high_watermark = end
        session.moved(subscription)
    assert [s.id for s in session.take_news()] == [1]


def test_what_data_tells_is_not_told_again() -> None:
    session = Session()
    start(session, 1, Source(1))
    assert session.take_news() == []  # data comes at once
    assert take_all(session) == [1]
    assert session.take_news() == []

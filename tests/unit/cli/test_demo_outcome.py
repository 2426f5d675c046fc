"""What the demo says of its own run is true."""

from __future__ import annotations

from streamctl.demo.run import Outcome
from streamctl.demo.stream import Blow

BLOW = Blow(broker=2, led_partitions=2, struck_s=10.0, sent_before=500)


def outcome(sent: list[bytes], read: list[bytes | None]) -> Outcome:
    return Outcome(sent, read, BLOW, consume_s=1.0)


def test_what_came_back_once_each_in_any_order_is_complete() -> None:
    assert outcome([b"a", b"b", b"c"], [b"c", b"a", b"b"]).is_complete


def test_a_record_that_did_not_come_back_is_missing_even_if_another_came_twice() -> None:
    short = outcome([b"a", b"b", b"c"], [b"a", b"b", b"b"])
    assert (short.missing, short.surplus, short.is_complete) == (1, 1, False)


def test_a_record_that_nobody_sent_is_one_too_many() -> None:
    long = outcome([b"a"], [b"a", b"z", None])
    assert (long.missing, long.surplus, long.is_complete) == (0, 2, False)


def test_a_stall_begins_at_the_blow_at_the_earliest() -> None:
    blow = Blow(broker=2, led_partitions=2, struck_s=10.0, acknowledged_s=[1.0, 9.99, 10.4, 10.41])
    assert round(blow.stall_s, 6) == 0.4

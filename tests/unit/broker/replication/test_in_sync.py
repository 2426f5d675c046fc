"""The high watermark is the least acknowledged end over the maximal in-sync set, frozen below min ISR."""

from __future__ import annotations

from streamkeep_broker.replication.in_sync import least_acknowledged_end


def test_one_replica_alone_decides_for_itself() -> None:
    assert least_acknowledged_end({1: 7}, committed=(1,), required=1) == 7


def test_the_slowest_replica_in_sync_holds_the_high_watermark() -> None:
    assert least_acknowledged_end({1: 9, 2: 5, 3: 7}, committed=(1, 2, 3), required=2) == 5


def test_a_replica_out_of_sync_holds_nothing_back() -> None:
    assert least_acknowledged_end({1: 9, 2: 5, 3: 7}, committed=(1, 3), required=2) == 7


def test_a_pending_addition_holds_the_high_watermark_before_it_is_committed() -> None:
    assert least_acknowledged_end({1: 9, 2: 8, 3: 7}, committed=(1, 2), additions=(3,), required=2) == 7


def test_a_replica_in_sync_that_has_not_said_its_end_holds_everything_back() -> None:
    assert least_acknowledged_end({1: 9}, committed=(1, 2), required=1) is None


def test_below_min_in_sync_the_high_watermark_is_frozen() -> None:
    assert least_acknowledged_end({1: 9}, committed=(1,), required=2) is None


def test_a_pending_addition_does_not_help_to_reach_min_in_sync() -> None:
    assert least_acknowledged_end({1: 9, 2: 9}, committed=(1,), additions=(2,), required=2) is None

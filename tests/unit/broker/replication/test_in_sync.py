"""The high watermark is the least acknowledged end over the maximal in-sync set, frozen below min ISR."""

from __future__ import annotations

from streamkeep_broker.replication.in_sync import effective_min_in_sync, least_acknowledged_end


def test_one_replica_alone_decides_for_itself() -> None:
    assert least_acknowledged_end({1: 7}, (1,), min_in_sync=1) == 7


def test_the_slowest_replica_in_sync_holds_the_high_watermark() -> None:
    assert least_acknowledged_end({1: 9, 2: 5, 3: 7}, (1, 2, 3), min_in_sync=2) == 5


def test_a_replica_out_of_sync_holds_nothing_back() -> None:
    assert least_acknowledged_end({1: 9, 2: 5, 3: 7}, (1, 3), min_in_sync=2) == 7


def test_a_replica_in_sync_that_has_not_said_its_end_holds_everything_back() -> None:
    assert least_acknowledged_end({1: 9}, (1, 2), min_in_sync=1) is None


def test_below_min_in_sync_the_high_watermark_is_frozen() -> None:
    assert least_acknowledged_end({1: 9}, (1,), min_in_sync=2) is None


def test_an_empty_in_sync_set_acknowledges_nothing() -> None:
    assert least_acknowledged_end({1: 9}, (), min_in_sync=1) is None


def test_a_topic_cannot_need_more_replicas_in_sync_than_it_has() -> None:
    assert effective_min_in_sync(2, 1) == 1
    assert effective_min_in_sync(2, 3) == 2

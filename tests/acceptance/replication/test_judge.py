"""The judge of record histories sees each anomaly, and nothing in a history that is well."""

from __future__ import annotations

import pytest

from tests.acceptance.replication.judge import (
    REFUSED,
    STORED,
    UNKNOWN,
    Anomaly,
    Reading,
    Verdict,
    Writing,
    judge,
)

A, B, C, D = 1, 2, 3, 4


def wrote(*told: tuple[int, int], who: str = "producer-1", partition: int = 0) -> Writing:
    """(value, offset that it was told) in the order of sending."""
    writing = Writing(who, partition)
    for number, (value, offset) in enumerate(told):
        index = writing.send(value, number)
        if offset != UNKNOWN:
            writing.acknowledge(index, offset, number + 0.5)
    return writing


def read(
    *handed: tuple[int, int], who: str = "consumer-1", partition: int = 0, drains: bool = True
) -> Reading:
    """(offset, value) in the order of reading."""
    reading = Reading(who, partition, drains=drains)
    reading.read([offset for offset, _ in handed], [value for _, value in handed])
    return reading


def kinds(verdict: Verdict) -> list[Anomaly]:
    return [finding.anomaly for finding in verdict.findings]


def test_a_history_that_is_well_has_no_findings() -> None:
    writings = [wrote((A, 0), (B, 2)), wrote((C, 1), (D, UNKNOWN), who="producer-2")]
    verdict = judge(writings, [read((0, A), (1, C), (2, B)), read((1, C), (2, B), who="consumer-2")])
    assert verdict.findings == []
    assert (verdict.sent, verdict.acknowledged, verdict.read) == (4, 3, 5)


@pytest.mark.parametrize("end", [(), ((1, B),)])
def test_what_nobody_was_told_of_may_be_there_or_not(end: tuple[tuple[int, int], ...]) -> None:
    assert kinds(judge([wrote((A, 0), (B, UNKNOWN))], [read((0, A), *end)])) == []


def test_an_acknowledged_record_that_readers_have_passed_is_lost() -> None:
    verdict = judge([wrote((A, 0), (B, 1)), wrote((C, UNKNOWN), who="producer-2")], [read((0, A), (1, C))])
    assert kinds(verdict) == [Anomaly.INCONSISTENT_OFFSET, Anomaly.LOST]
    assert str(verdict.findings[1]) == (
        "lost: partition 0: 2 of producer-1, sent at 1.000 s, acknowledged at 1 at 1.500 s;"
        " drained up to offset 2; there is 3 now"
    )


def test_what_was_read_once_and_is_not_there_when_the_log_is_drained_is_lost() -> None:
    early = read((0, A), (1, B), (2, C), drains=False)
    verdict = judge([wrote((A, 0), (B, 1), (C, 2))], [early, read((0, A), (2, C), who="the last")])
    assert kinds(verdict) == [Anomaly.LOST, Anomaly.SKIPPED]


def test_a_gap_where_an_acknowledged_record_should_be_is_lost_and_skipped() -> None:
    verdict = judge([wrote((A, 0), (B, 1), (C, 2))], [read((0, A), (2, C))])
    assert kinds(verdict) == [Anomaly.LOST, Anomaly.SKIPPED]


def test_a_record_that_is_stored_nobody_knows_where_is_lost_if_a_later_one_was_read() -> None:
    assert kinds(judge([wrote((A, STORED), (B, 0))], [read((0, B))])) == [Anomaly.LOST]


@pytest.mark.parametrize("offset", [1, STORED])
def test_an_acknowledged_record_at_the_end_that_nobody_was_handed_is_unseen(offset: int) -> None:
    verdict = judge([wrote((A, 0), (B, offset))], [read((0, A))])
    assert kinds(verdict) == [Anomaly.UNSEEN]
    assert "the last offset drained is 0" in verdict.findings[0].evidence


def test_one_record_at_two_offsets_is_a_duplicate() -> None:
    assert kinds(judge([wrote((A, 0))], [read((0, A), (1, A))])) == [Anomaly.DUPLICATE]


def test_a_record_that_is_not_where_its_producer_was_told_is_a_duplicate() -> None:
    assert Anomaly.DUPLICATE in kinds(judge([wrote((A, 5))], [read((0, A))]))


def test_two_readers_who_find_different_records_at_one_offset_are_inconsistent() -> None:
    writings = [wrote((A, UNKNOWN)), wrote((B, UNKNOWN), who="producer-2")]
    verdict = judge(writings, [read((0, A)), read((0, B), who="consumer-2")])
    assert kinds(verdict) == [Anomaly.INCONSISTENT_OFFSET]
    assert verdict.findings[0].evidence == "at offset 0 is 2, says consumer-2; 1, says consumer-1"


def test_an_offset_that_was_acknowledged_to_two_producers_is_inconsistent() -> None:
    verdict = judge([wrote((A, 0)), wrote((B, 0), who="producer-2")], [read((0, A))])
    assert Anomaly.INCONSISTENT_OFFSET in kinds(verdict)


def test_a_record_behind_one_that_its_producer_sent_later_is_reordered() -> None:
    verdict = judge([wrote((A, UNKNOWN), (B, UNKNOWN), (C, UNKNOWN))], [read((0, B), (1, A), (2, C))])
    assert kinds(verdict) == [Anomaly.REORDERED]
    assert verdict.findings[0].evidence.startswith("2 of producer-1")


def test_two_producers_have_no_order_between_them() -> None:
    writings = [wrote((A, 1)), wrote((B, 0), who="producer-2")]
    assert kinds(judge(writings, [read((0, B), (1, A))])) == []


def test_a_reader_that_is_taken_back_is_told_the_same_twice() -> None:
    verdict = judge([wrote((A, 0), (B, 1))], [read((0, A), (1, B), (0, A))])
    assert kinds(verdict) == [Anomaly.REPEATED]


def test_a_reader_that_is_taken_past_a_record_has_skipped_it() -> None:
    readings = [read((0, A), (1, B), (2, C)), read((0, A), (2, C), who="consumer-2")]
    verdict = judge([wrote((A, 0), (B, 1), (C, 2))], readings)
    assert kinds(verdict) == [Anomaly.SKIPPED]
    assert "consumer-2" in verdict.findings[0].evidence


def test_a_gap_in_which_nobody_knows_of_a_record_is_none() -> None:
    assert kinds(judge([wrote((A, 0), (B, 7))], [read((0, A), (7, B))])) == []


def test_a_record_that_nobody_sent_to_the_partition_is_unsent() -> None:
    verdict = judge([wrote((A, 0), partition=1)], [read((0, A), partition=0), read((0, A), partition=1)])
    assert kinds(verdict) == [Anomaly.UNSENT]


def test_a_record_that_was_refused_for_good_is_in_no_log() -> None:
    writings = [wrote((A, 0), (B, REFUSED))]
    assert kinds(judge(writings, [read((0, A))])) == []
    verdict = judge(writings, [read((0, A), (1, B))])
    assert kinds(verdict) == [Anomaly.UNREFUSED]
    assert "2 of producer-1, sent at 1.000 s, refused at 1.500 s, is at offset 1" in str(verdict.findings[0])


def test_partitions_are_judged_apart() -> None:
    writings = [wrote((A, 0)), wrote((B, 0), partition=1)]
    assert kinds(judge(writings, [read((0, A)), read((0, B), partition=1)])) == []
    verdict = judge(writings, [read((0, A))])
    assert [(finding.anomaly, finding.partition) for finding in verdict.findings] == [(Anomaly.UNSEEN, 1)]

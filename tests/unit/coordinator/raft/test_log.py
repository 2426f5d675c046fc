from __future__ import annotations

import pytest

from streamkeep_coordinator.raft import RaftInvariantError, RaftLog
from streamkeep_proto.v1.raft_pb2 import RaftEntry, SnapshotReceived
from tests.unit.coordinator.raft.nodes import entries_of, quorum_of

QUORUM = quorum_of(1, 2, 3)


def make_log(*terms: int, committed_index: int = 0) -> RaftLog:
    return RaftLog(entries=entries_of(*terms, quorum=QUORUM), committed_index=committed_index)


def test_a_log_knows_terms_only_of_what_it_has() -> None:
    log = make_log(1, 1, 2)
    assert [log.term_at(index) for index in range(5)] == [0, 1, 1, 2, None]
    log.commit_to(3)
    log.compact(2)
    assert [log.term_at(index) for index in range(5)] == [None, None, 1, 2, None]


def test_entries_without_a_gap_and_without_a_step_back_in_term() -> None:
    log = make_log(1, 2)
    for entry in (RaftEntry(index=4, term=2), RaftEntry(index=3, term=1), RaftEntry(index=3, term=0)):
        with pytest.raises(RaftInvariantError):
            log.append(entry)


def test_a_committed_entry_is_never_dropped() -> None:
    log = make_log(1, 1, 1, committed_index=2)
    with pytest.raises(RaftInvariantError):
        log.truncate(2)
    log.truncate(3)
    assert log.last_index == 2


def test_a_commit_index_beyond_the_log_means_that_the_log_lost_something() -> None:
    with pytest.raises(RaftInvariantError):
        make_log(1, committed_index=2)


def test_a_quorum_is_in_effect_with_its_entry_and_gone_with_it() -> None:
    log = make_log(1, committed_index=1)
    log.append(RaftEntry(index=2, term=1, quorum=quorum_of(1, 2)))
    assert (log.quorum, log.quorum_index) == (quorum_of(1, 2), 2)
    assert (log.committed_quorum, log.committed_quorum_index) == (QUORUM, 1)
    log.truncate(2)
    assert (log.quorum, log.quorum_index) == (QUORUM, 1)


def test_a_compacted_log_keeps_the_quorum_of_what_it_forgot() -> None:
    log = make_log(1, 1, 1, committed_index=3)
    log.compact(2)
    assert log.quorum == QUORUM


def test_a_slice_is_bounded_but_never_empty() -> None:
    log = make_log(1, 1, 1)
    assert [entry.index for entry in log.slice(1, 3, max_bytes=1)] == [1]
    assert [entry.index for entry in log.slice(1, 3, max_bytes=130)] == [1, 2]
    assert [entry.index for entry in log.slice(2, 9)] == [2, 3]
    assert log.slice(4, 3, max_bytes=1) == []


def test_a_log_knows_whether_what_follows_fits() -> None:
    log = make_log(1, 1, 1, committed_index=1)
    assert log.exceeds(1, 130)
    assert not log.exceeds(2, 130)
    assert not log.exceeds(4, 1)
    log.compact(1)
    assert log.exceeds(1, 129)


def test_the_hint_is_the_newest_entry_that_may_agree() -> None:
    log = make_log(1, 1, 3, 3, 5)
    assert log.last_not_after(5, 4) == (4, 3)
    assert log.last_not_after(3, 9) == (3, 3)
    assert log.last_not_after(9, 2) == (2, 1)
    assert log.last_not_after(5, 0) == (0, 0)
    log.commit_to(4)
    log.compact(4)
    assert log.last_not_after(5, 2) == (4, 3)


def test_what_was_cut_off_while_it_was_written_is_not_durable() -> None:
    log = make_log(1)
    for index in (2, 3, 4):
        log.append(RaftEntry(index=index, term=1))
    assert [entry.index for entry in log.unwritten()] == [2, 3, 4]
    log.truncate(3)
    log.append(RaftEntry(index=3, term=2))
    log.written(4)
    assert (log.stable_index, log.truncate_from) == (2, 3)
    assert [entry.term for entry in log.unwritten()] == [2]
    log.written(3)
    assert log.stable_index == 3


def test_what_was_never_written_needs_no_cut() -> None:
    log = make_log(1)
    log.append(RaftEntry(index=2, term=1))
    log.truncate(2)
    assert log.truncate_from == 0


def test_a_snapshot_takes_the_place_of_everything() -> None:
    log = make_log(1, 1, 1)
    log.truncate(3)
    log.restore(SnapshotReceived(index=7, last_term=4, quorum=quorum_of(1)))
    assert (log.base_index, log.last_index, log.last_term, log.committed_index) == (7, 7, 4, 7)
    assert (log.quorum, log.truncate_from, log.stable_index) == (quorum_of(1), 0, 7)
    log.written(3)
    assert log.stable_index == 7

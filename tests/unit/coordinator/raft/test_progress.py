from __future__ import annotations

from streamkeep_coordinator.raft.progress import Progress, ProgressState


def make_progress(next_index: int = 10) -> Progress:
    return Progress(b"d" * 16, next_index, heard_tick=0)


def replicating(match_index: int) -> Progress:
    progress = make_progress(match_index + 1)
    assert progress.accepted(match_index, 0)
    assert progress.state is ProgressState.REPLICATE
    return progress


def test_a_probe_waits_for_its_answer_or_for_a_sign_of_life() -> None:
    progress = make_progress()
    assert progress.may_send(5)
    progress.sent(12, 0)
    assert not progress.may_send(5)
    progress.heartbeat_answered()
    assert progress.may_send(5)


def test_only_so_many_appends_are_under_way() -> None:
    progress = replicating(3)
    progress.sent(4, 0)
    progress.sent(6, 0)
    assert (progress.next_index, progress.may_send(2)) == (7, False)
    progress.accepted(4, 0)
    assert progress.may_send(2)


def test_a_late_success_takes_nothing_back() -> None:
    progress = replicating(5)
    assert not progress.accepted(4, 0)
    assert (progress.match_index, progress.next_index) == (5, 6)


def test_a_late_refusal_is_ignored() -> None:
    progress = replicating(5)
    progress.rejected(5, 3)
    assert progress.state is ProgressState.REPLICATE
    probing = make_progress(10)
    probing.rejected(7, 3)
    assert probing.next_index == 10


def test_a_refusal_leads_to_where_the_logs_may_agree_but_never_below_what_is_known() -> None:
    progress = make_progress(10)
    progress.rejected(9, 4)
    assert progress.next_index == 5
    progress.match_index = 3
    progress.rejected(4, 0)
    assert progress.next_index == 4


def test_a_gap_sends_a_replicating_follower_back_to_probing() -> None:
    progress = replicating(5)
    progress.sent(8, 0)
    progress.rejected(8, 5)
    assert (progress.state, progress.next_index) == (ProgressState.PROBE, 6)


def test_an_old_success_does_not_end_a_probe_further_up() -> None:
    progress = make_progress(10)
    assert progress.accepted(4, 0)
    assert (progress.state, progress.next_index) == (ProgressState.PROBE, 10)


def test_a_follower_that_lives_but_does_not_answer_is_asked_although_the_window_is_full() -> None:
    progress = replicating(5)
    progress.sent(6, 0)
    assert not progress.may_send(1)
    progress.heartbeat_answered()
    assert progress.may_send(1)
    progress.sent(6, 0)
    assert not progress.may_send(1)


def test_a_snapshot_that_was_sent_is_followed_by_what_comes_after_it() -> None:
    progress = make_progress(3)
    progress.snapshot()
    assert not progress.may_send(5)
    progress.snapshot_sent(20, succeeded=True)
    assert (progress.state, progress.next_index, progress.is_waiting) == (ProgressState.PROBE, 21, True)


def test_a_snapshot_that_failed_is_tried_again_after_a_sign_of_life() -> None:
    progress = make_progress(3)
    progress.snapshot()
    progress.snapshot_sent(20, succeeded=False)
    assert (progress.next_index, progress.may_send(5)) == (1, False)
    progress.heartbeat_answered()
    assert progress.may_send(5)


def test_an_answer_from_within_the_log_ends_the_snapshot() -> None:
    progress = make_progress(3)
    progress.snapshot()
    progress.accepted(19, 20)
    assert progress.state is ProgressState.SNAPSHOT
    progress.accepted(20, 20)
    assert (progress.state, progress.next_index) == (ProgressState.REPLICATE, 21)

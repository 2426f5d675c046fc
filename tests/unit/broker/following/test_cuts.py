"""A follower cuts where the logs part, always some of it, and never asks the same thing twice."""

from __future__ import annotations

import pytest

from streamkeep_broker.replication.following.cuts import BeginAnew, CutTo, after_divergence, after_restart
from streamkeep_common.errors import UnknownServerError
from streamkeep_proto.v1.replication_pb2 import EpochEndOffset
from tests.unit.broker.following.model import Frame, ModelLog


def log_of(*epochs: int, start: int = 0) -> ModelLog:
    """A log of one record for each of these epochs."""
    log = ModelLog()
    log.begin_anew(start)
    for epoch in epochs:
        log.append(Frame(log.log_end_offset, log.log_end_offset + 1, epoch, 0))
    return log


def answer(epoch: int, end: int) -> EpochEndOffset:
    return EpochEndOffset(leader_epoch=epoch, end_offset=end)


def test_what_the_leader_lacks_of_the_last_epoch_goes() -> None:
    assert after_divergence(log_of(1, 1, 2, 2, 2), answer(2, 3)) == CutTo(3)


def test_an_epoch_that_the_leader_never_saw_goes_whole() -> None:
    assert after_divergence(log_of(1, 1, 3, 3), answer(1, 2)) == CutTo(2)


def test_the_leader_may_have_more_of_the_older_epoch_than_is_here() -> None:
    assert after_divergence(log_of(1, 1, 3, 3), answer(2, 9)) == CutTo(2)


def test_the_own_end_of_an_older_epoch_counts_where_the_leader_names_one_that_is_not_here() -> None:
    """KIP-279: the next question is then about an epoch that both may know."""
    assert after_divergence(log_of(1, 3, 3, 5), answer(4, 4)) == CutTo(3)


def test_if_all_epochs_here_are_later_than_the_leaders_all_goes() -> None:
    assert after_divergence(log_of(3, 3, 4), answer(2, 7)) == CutTo(0)


@pytest.mark.parametrize("first_offset", [0, 2, 3, 9])
def test_of_epochs_that_the_leader_does_not_know_any_more_nothing_is_kept(first_offset: int) -> None:
    """They were deleted there. To cut to where the own log begins would go below the high watermark."""
    assert after_divergence(log_of(1, 1, 2), answer(0, first_offset)) == BeginAnew(first_offset)


def test_what_lies_below_the_own_start_cannot_be_cut_to() -> None:
    assert after_divergence(log_of(3, 3, start=10), answer(2, 4)) == BeginAnew(4)


def test_an_epoch_without_a_record_is_not_in_the_way() -> None:
    log = log_of(1, 1, 2)
    log.epochs.assign(5, 3)
    assert after_divergence(log, answer(2, 2)) == CutTo(2)


@pytest.mark.parametrize(
    ("epoch", "end"),
    [(2, 3), (2, 4), (3, 2), (-1, 0), (1, -1)],
    ids=["equal", "longer", "later", "none", "negative"],
)
def test_an_answer_that_asks_for_nothing_to_go_is_not_believed(epoch: int, end: int) -> None:
    with pytest.raises(UnknownServerError):
        after_divergence(log_of(1, 1, 2), answer(epoch, end))


def test_an_empty_log_does_not_part_from_any() -> None:
    with pytest.raises(UnknownServerError):
        after_divergence(log_of(), answer(0, 0))


def test_a_restart_drops_everything() -> None:
    assert after_restart(log_of(1, 1), 7) == BeginAnew(7)
    assert after_restart(log_of(start=7), 9) == BeginAnew(9)


def test_a_restart_that_was_done_already_is_not_done_again() -> None:
    with pytest.raises(UnknownServerError):
        after_restart(log_of(start=7), 7)


def test_a_restart_below_the_first_offset_is_not_believed() -> None:
    with pytest.raises(UnknownServerError):
        after_restart(log_of(1), -1)

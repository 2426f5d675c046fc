"""A partition takes what its leader of now pushes on its subscription of now, and nothing else."""

from __future__ import annotations

import random

import pytest

from streamkeep_broker.replication.following.cuts import BeginAnew, CutTo
from streamkeep_broker.replication.following.state import Damaged, FollowState, Join, Lane, Phase, Wait
from streamkeep_common.errors import (
    CorruptBatchError,
    CorruptLogError,
    DiskFullError,
    DiskStalledError,
    StorageFailedError,
    UnknownLeaderEpochError,
)
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.errors_pb2 import Error
from streamkeep_proto.v1.replication_pb2 import EpochEndOffset, FollowEnd
from tests.unit.broker.following.model import Frame, ModelLog


def following(leader_epoch: int = 5, subscription: int = 1) -> FollowState:
    state = FollowState(random.Random(1))
    assert state.follow(leader_epoch) == Join(Lane.LIVE)
    state.start(subscription)
    state.took(frames=True)
    return state


def log_of(*epochs: int) -> ModelLog:
    log = ModelLog()
    for epoch in epochs:
        log.append(Frame(log.log_end_offset, log.log_end_offset + 1, epoch, 0))
    return log


def diverged(epoch: int, end: int) -> FollowEnd:
    return FollowEnd(diverged=EpochEndOffset(leader_epoch=epoch, end_offset=end))


def refusal(code: errors_pb2.ErrorCode.ValueType = errors_pb2.UNKNOWN_LEADER_EPOCH) -> FollowEnd:
    return FollowEnd(error=Error(code=code, message="not yet"))


def test_a_push_counts_from_the_start_of_its_subscription_to_its_end() -> None:
    state = FollowState(random.Random(1))
    state.follow(5)
    assert not state.takes(1, 5)
    state.start(1)
    assert state.takes(1, 5)
    state.took(frames=True)
    assert state.phase is Phase.FOLLOWING and state.takes(1, 5)
    state.ended(refusal(), log_of())
    assert not state.takes(1, 5)


def test_no_push_counts_but_of_the_subscription_and_the_leader_epoch_of_now() -> None:
    state = following(leader_epoch=5, subscription=3)
    assert not state.takes(2, 5)
    assert not state.takes(4, 5)
    assert not state.takes(3, 4)
    assert not state.takes(3, 6)
    assert not state.takes(0, 5)


def test_a_newer_leader_ends_what_was_under_way() -> None:
    state = following(leader_epoch=5, subscription=3)
    assert state.follow(6) == Join(Lane.LIVE)
    assert not state.takes(3, 5) and not state.takes(3, 6)


def test_who_follows_nobody_takes_nothing() -> None:
    state = following()
    state.leave()
    assert not state.takes(1, 5) and not state.takes(0, 5)


def test_a_broken_stream_is_waited_for() -> None:
    state = following()
    state.lost()
    assert state.phase is Phase.WAITING and not state.takes(1, 5)


def test_while_the_log_is_cut_nothing_is_taken_and_then_it_is_asked_again() -> None:
    state = following()
    assert state.ended(diverged(2, 1), log_of(2, 2)) == CutTo(1)
    assert state.phase is Phase.CUTTING and not state.takes(1, 5)
    assert state.cut() == Join(Lane.LIVE)


def test_a_new_leader_waits_until_the_cut_is_done() -> None:
    state = following()
    state.ended(FollowEnd(restart_offset=7), log_of(2, 2))
    assert state.follow(6) is None
    assert state.phase is Phase.CUTTING
    assert state.cut() == Join(Lane.LIVE)
    assert state.leader_epoch == 6


def test_a_cut_is_brought_to_its_end_when_nobody_is_followed_any_more() -> None:
    state = following()
    assert state.ended(FollowEnd(restart_offset=7), log_of(2, 2)) == BeginAnew(7)
    state.leave()
    assert state.phase is Phase.CUTTING
    assert state.cut() is None


def test_who_is_behind_goes_to_the_other_stream_and_comes_back() -> None:
    state = following()
    assert state.ended(FollowEnd(behind=True), log_of()) == Join(Lane.CATCH_UP)
    state.start(2)
    state.lost()
    assert state.lane is Lane.CATCH_UP
    state.start(3)
    assert state.ended(FollowEnd(caught_up=True), log_of()) == Join(Lane.LIVE)


def test_a_new_leader_is_first_followed_live() -> None:
    state = following()
    state.ended(FollowEnd(behind=True), log_of())
    assert state.follow(6) == Join(Lane.LIVE)


@pytest.mark.parametrize("lane", list(Lane))
def test_an_end_that_makes_no_sense_is_waited_out(lane: Lane) -> None:
    state = following()
    if lane is Lane.CATCH_UP:
        state.ended(FollowEnd(behind=True), log_of())
        state.start(2)
    senseless = FollowEnd(behind=True) if lane is Lane.CATCH_UP else FollowEnd(caught_up=True)
    for end in (
        senseless,
        FollowEnd(),
        FollowEnd(error=Error()),
        diverged(9, 9),
        FollowEnd(restart_offset=-1),
    ):
        assert isinstance(state.ended(end, log_of(1)), Wait)
        state.retry()
        state.start(9)


def test_a_refusal_is_asked_again_after_50_ms_and_then_less_and_less_often() -> None:
    state = following()
    waits = []
    for number in range(2, 12):
        wait = state.ended(refusal(), log_of())
        assert isinstance(wait, Wait) and isinstance(wait.reason, UnknownLeaderEpochError)
        waits.append(wait.wait_s)
        state.retry()
        state.start(number)
    assert 0.025 <= waits[0] <= 0.05
    assert 0.5 <= waits[-1] <= 1.0


def test_news_alone_do_not_make_the_next_wait_short_and_frames_do() -> None:
    state = following()
    for number in range(2, 8):
        state.failed(CorruptBatchError("a bit flipped"))
        state.retry()
        state.start(number)
        state.took(frames=False)
    wait = state.failed(CorruptBatchError("a bit flipped"))
    assert isinstance(wait, Wait) and wait.wait_s > 0.4
    state.retry()
    state.start(9)
    state.took(frames=True)
    wait = state.failed(CorruptBatchError("a bit flipped"))
    assert isinstance(wait, Wait) and wait.wait_s <= 0.05


@pytest.mark.parametrize("trouble", [DiskFullError, DiskStalledError, StorageFailedError])
def test_trouble_with_the_own_disk_is_waited_out(trouble: type[Exception]) -> None:
    state = following()
    wait = state.failed(trouble("no"))  # type: ignore[arg-type]
    assert isinstance(wait, Wait) and 0.25 <= wait.wait_s <= 0.5
    assert state.waits_for_disk
    state.retry()
    assert not state.waits_for_disk


def test_the_leaders_own_trouble_is_not_taken_for_ours() -> None:
    state = following()
    for number, code in enumerate((errors_pb2.CORRUPT_LOG, errors_pb2.STORAGE_FAILED), start=2):
        assert isinstance(state.ended(refusal(code), log_of()), Wait)
        assert not state.is_damaged and not state.waits_for_disk
        state.retry()
        state.start(number)


def test_a_damaged_log_stays_as_it_is_until_it_is_followed_again() -> None:
    state = following()
    assert isinstance(state.failed(CorruptLogError("a bit flipped")), Damaged)
    assert state.is_damaged and not state.takes(1, 5)
    assert state.follow(5) == Join(Lane.LIVE)
    assert not state.is_damaged


def test_a_cut_that_failed_is_asked_for_again() -> None:
    state = following()
    state.ended(diverged(2, 1), log_of(2, 2))
    assert isinstance(state.failed(DiskFullError("no room")), Wait)
    assert state.retry() == Join(Lane.LIVE)

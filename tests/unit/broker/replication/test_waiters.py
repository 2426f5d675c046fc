"""Answers come in the order of the batches, each when the high watermark has reached it."""

from __future__ import annotations

from streamkeep_broker.replication.waiters import PendingAppend, Waiters
from streamkeep_common.errors import NotLeaderError, OutOfOrderSequenceError


class Pending(PendingAppend):
    def __init__(self, name: str, told: list[str]) -> None:
        super().__init__()
        self.name = name
        self.told = told

    def done(self) -> None:
        self.told.append(self.name)


def test_a_batch_is_answered_when_the_high_watermark_reaches_its_end_and_not_before() -> None:
    told: list[str] = []
    waiters = Waiters()
    waiters.add(Pending("a", told), 10)
    waiters.release(9, 0)
    assert told == []
    waiters.release(10, 4)
    assert told == ["a"]
    assert len(waiters) == 0


def test_the_answer_carries_the_log_start_of_its_moment() -> None:
    pending = Pending("a", [])
    waiters = Waiters()
    waiters.add(pending, 10)
    waiters.release(10, 4)
    assert pending.log_start_offset == 4


def test_a_duplicate_and_a_refusal_wait_behind_what_came_before_them() -> None:
    told: list[str] = []
    waiters = Waiters()
    refused = Pending("refused", told)
    refused.error = OutOfOrderSequenceError("gap")
    waiters.add(Pending("new", told), 10)
    waiters.add(Pending("duplicate", told), 3)
    waiters.add(refused, 0)
    waiters.release(9, 0)
    assert told == []
    waiters.release(10, 0)
    assert told == ["new", "duplicate", "refused"]


def test_losing_leadership_fails_all_that_wait_but_keeps_earlier_refusals() -> None:
    told: list[str] = []
    waiters = Waiters()
    waiting, refused = Pending("waiting", told), Pending("refused", told)
    refused.error = OutOfOrderSequenceError("gap")
    waiters.add(waiting, 10)
    waiters.add(refused, 0)
    waiters.fail(NotLeaderError("gone"))
    assert told == ["waiting", "refused"]
    assert isinstance(waiting.error, NotLeaderError)
    assert isinstance(refused.error, OutOfOrderSequenceError)

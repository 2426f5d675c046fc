"""Committed entries reach the state machine in order, and never hold the loop for long."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from streamkeep_common.errors import UnavailableError
from streamkeep_coordinator.quorum.applier import SLICE_S, Applier
from streamkeep_coordinator.quorum.waiters import CommitWaiters
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry
from streamkeep_proto.v1.raft_pb2 import RaftEntry


class StepClock:
    """Time that only passes when an entry is applied."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def now_ms(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("it waits for nothing")


def entries(first: int, last: int) -> list[RaftEntry]:
    return [
        RaftEntry(index=index, term=1, data=MetadataEntry(index=index, term=1).SerializeToString())
        for index in range(first, last + 1)
    ]


async def test_a_long_log_is_applied_in_slices_between_which_others_get_their_turn() -> None:
    clock, applied = StepClock(), list[int]()

    def apply(entry: MetadataEntry, size: int) -> None:
        clock.now += SLICE_S / 4
        applied.append(entry.index)

    applier = Applier(clock, 0, on_entry=apply, on_failure=lambda error: pytest.fail(str(error)))
    applier.add(entries(1, 100))
    lengths = [len(applied)]
    while len(applied) < 100:
        await asyncio.sleep(0)
        lengths.append(len(applied))
    assert applied == list(range(1, 101))
    assert max(after - before for before, after in itertools.pairwise(lengths)) <= 5


async def test_what_a_snapshot_contains_is_not_applied_again() -> None:
    clock, applied = StepClock(), list[int]()

    def apply(entry: MetadataEntry, size: int) -> None:
        clock.now += SLICE_S
        applied.append(entry.index)

    applier = Applier(clock, 0, on_entry=apply, on_failure=lambda error: pytest.fail(str(error)))
    applier.add(entries(1, 10))
    applier.skip_to(10)
    applier.add(entries(11, 11))
    while applier.applied_index < 11:
        await asyncio.sleep(0)
    assert applied == [1, 11]


async def test_an_entry_that_cannot_be_applied_is_the_end() -> None:
    failures: list[Exception] = []

    def apply(entry: MetadataEntry, size: int) -> None:
        raise ValueError("no")

    applier = Applier(StepClock(), 0, on_entry=apply, on_failure=failures.append)
    applier.add(entries(1, 3))
    await asyncio.sleep(0)
    assert [str(error) for error in failures] == ["no"]


async def test_who_waits_for_an_entry_is_not_content_with_another_one_at_its_index() -> None:
    waiters = CommitWaiters()
    wanted, another = waiters.wait(5, 2), waiters.wait(5, 1)
    waiters.applied(5, 2)
    await wanted
    with pytest.raises(UnavailableError, match="may still take effect"):
        await another


async def test_what_was_committed_before_leadership_ended_is_still_answered() -> None:
    waiters = CommitWaiters()
    committed, lost = waiters.wait(5, 2), waiters.wait(6, 2)
    waiters.fail(after=5)
    with pytest.raises(UnavailableError):
        await lost
    waiters.applied(5, 2)
    await committed

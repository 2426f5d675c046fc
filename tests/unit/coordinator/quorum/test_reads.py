"""Linearizable reads: which question answers which read, and when."""

from __future__ import annotations

import asyncio
import random

import pytest

from streamkeep_common.errors import UnavailableError
from streamkeep_coordinator.quorum.reads import ASK_AGAIN_TICKS, Reads


class Asked(list[int]):
    """The contexts that were asked about."""

    def __call__(self, context: int) -> None:
        self.append(context)


async def test_reads_share_a_question_and_wait_until_the_index_is_applied() -> None:
    reads, asked = Reads(random.Random(1)), Asked()
    first, second = reads.add(), reads.add()
    reads.ask(asked)
    assert len(asked) == 1
    reads.confirm(asked[0], index=7, applied_index=5)
    assert not first.done()
    reads.applied(6)
    assert not first.done()
    reads.applied(7)
    assert first.done()
    assert second.done()


async def test_a_read_that_comes_after_the_question_is_not_answered_by_it() -> None:
    reads, asked = Reads(random.Random(1)), Asked()
    reads.add()
    reads.ask(asked)
    late = reads.add()
    assert not reads.is_asking
    reads.confirm(asked[0], index=1, applied_index=1)
    assert not late.done()
    assert reads.is_asking


async def test_a_question_that_stays_open_is_asked_again_under_another_context() -> None:
    reads, asked = Reads(random.Random(1)), Asked()
    read = reads.add()
    reads.ask(asked)
    for _ in range(ASK_AGAIN_TICKS):
        reads.tick()
    reads.ask(asked)
    assert len(set(asked)) == 2
    reads.confirm(asked[0], index=1, applied_index=1)
    assert not read.done()
    reads.confirm(asked[1], index=1, applied_index=1)
    assert read.done()


async def test_when_somebody_else_leads_open_questions_are_asked_anew_at_once() -> None:
    reads, asked = Reads(random.Random(1)), Asked()
    reads.add()
    reads.ask(asked)
    reads.ask_again()
    assert reads.is_asking


async def test_who_gave_up_is_not_asked_for() -> None:
    reads, asked = Reads(random.Random(1)), Asked()
    reads.add().cancel()
    reads.ask(asked)
    assert not asked


async def test_nobody_waits_for_ever_when_it_is_over() -> None:
    reads, asked = Reads(random.Random(1)), Asked()
    waiting = [reads.add()]
    reads.ask(asked)
    reads.confirm(asked[0], index=9, applied_index=0)
    waiting.append(reads.add())
    reads.ask(asked)
    waiting.append(reads.add())
    reads.fail(lambda: UnavailableError("over"))
    for each in waiting:
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(each, 1)

from __future__ import annotations

import random

import pytest

from streamkeep_common.errors import InvalidRequestError, StreamkeepError, UnavailableError
from streamkeep_common.retry import Backoff, RetryPolicy, call_with_retries

POLICY = RetryPolicy(first_wait_ms=100, max_wait_ms=1_000, budget_ms=5_000)


class ManualClock:
    """Time passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now_ms(self) -> int:
        return int(self.seconds * 1_000)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Flaky:
    """Fails with the given errors, one a call, then gives its number of calls."""

    def __init__(self, *errors: StreamkeepError) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls


def test_waits_double_up_to_the_longest_with_jitter_below() -> None:
    backoff = Backoff(POLICY, random.Random(1))
    for longest_s in [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]:
        assert longest_s / 2 <= backoff.next_wait_s() <= longest_s


def test_a_success_starts_the_waits_over() -> None:
    backoff = Backoff(POLICY, random.Random(1))
    for _ in range(10):
        backoff.next_wait_s()
    backoff.reset()
    assert backoff.next_wait_s() <= 0.1


def test_waits_stay_bounded_after_a_year_of_failures() -> None:
    backoff = Backoff(POLICY, random.Random(1))
    assert all(backoff.next_wait_s() <= 1.0 for _ in range(100_000))


def test_the_same_seed_waits_the_same() -> None:
    first, second = Backoff(POLICY, random.Random(7)), Backoff(POLICY, random.Random(7))
    assert [first.next_wait_s() for _ in range(20)] == [second.next_wait_s() for _ in range(20)]


async def test_a_call_is_repeated_until_it_succeeds() -> None:
    call = Flaky(UnavailableError("down"), UnavailableError("still down"))
    clock = ManualClock()
    assert await call_with_retries(call, clock=clock, rng=random.Random(1), policy=POLICY) == 3
    assert 0.15 <= clock.seconds <= 0.3


async def test_an_error_that_is_not_retriable_is_raised_at_once() -> None:
    call = Flaky(InvalidRequestError("nonsense"))
    clock = ManualClock()
    with pytest.raises(InvalidRequestError, match="nonsense"):
        await call_with_retries(call, clock=clock, rng=random.Random(1), policy=POLICY)
    assert (call.calls, clock.seconds) == (1, 0.0)


async def test_no_attempt_begins_after_the_budget_and_the_last_error_is_raised() -> None:
    call = Flaky(*[UnavailableError(f"attempt {number}") for number in range(1, 1_000)])
    clock = ManualClock()
    with pytest.raises(UnavailableError) as caught:
        await call_with_retries(call, clock=clock, rng=random.Random(1), policy=POLICY)
    assert caught.value.message == f"attempt {call.calls}"
    assert 4.0 <= clock.seconds <= 5.0


async def test_a_budget_of_nothing_is_one_attempt() -> None:
    call = Flaky(UnavailableError("down"))
    policy = RetryPolicy(budget_ms=0)
    with pytest.raises(UnavailableError):
        await call_with_retries(call, clock=ManualClock(), rng=random.Random(1), policy=policy)
    assert call.calls == 1


async def test_an_error_of_another_kind_is_never_swallowed() -> None:
    async def broken() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await call_with_retries(broken, clock=ManualClock(), rng=random.Random(1), policy=POLICY)

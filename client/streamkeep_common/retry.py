"""When to try again: waits that grow, with jitter, within a budget.

`Backoff` is for whoever keeps a connection or a stream alive; `call_with_retries` is for single calls. Both
draw from the random source that they are given and wait on the clock seam, so a simulation replays them.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from streamkeep_common.errors import StreamkeepError
from streamkeep_common.seams.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How to wait between attempts, and for how long in all."""

    first_wait_ms: int = 50
    max_wait_ms: int = 1_000
    budget_ms: int = 30_000
    """No attempt begins later than this after the first; the last error is raised instead."""

    def __post_init__(self) -> None:
        assert 0 < self.first_wait_ms <= self.max_wait_ms, "waits grow"
        assert self.budget_ms >= 0, "a budget is not negative"


class Backoff:
    """The waits between attempts: each twice the one before, up to the policy's longest.

    Each is drawn between its half and its whole, so that many clients that failed together do not come back
    together.
    """

    def __init__(self, policy: RetryPolicy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng
        self._failures = 0

    def next_wait_s(self) -> float:
        """Seconds to wait after one more failure."""
        doublings = min(self._failures, 30)
        self._failures += 1
        longest_ms = min(self._policy.max_wait_ms, self._policy.first_wait_ms << doublings)
        return longest_ms * self._rng.uniform(0.5, 1.0) / 1_000

    def reset(self) -> None:
        """Start over, after a success."""
        self._failures = 0


def is_retriable(error: BaseException) -> bool:
    """The same request, unchanged, may succeed later."""
    return isinstance(error, StreamkeepError) and error.retriable


async def call_with_retries(
    call: Callable[[], Awaitable[T]],
    *,
    clock: Clock,
    rng: random.Random,
    policy: RetryPolicy,
    retriable: Callable[[BaseException], bool] = is_retriable,
) -> T:
    """The result of the first attempt that succeeds; the last error once the budget would be passed.

    Errors that are not `retriable` are raised at once. How long one attempt may take is up to `call`.
    """
    backoff = Backoff(policy, rng)
    deadline = clock.monotonic() + policy.budget_ms / 1_000

    def would_pass_deadline(state: RetryCallState) -> bool:
        return clock.monotonic() + state.upcoming_sleep > deadline

    attempts = AsyncRetrying(
        sleep=clock.sleep,
        wait=lambda _: backoff.next_wait_s(),
        stop=would_pass_deadline,
        retry=retry_if_exception(retriable),
        reraise=True,
    )
    return await attempts(call)

"""One question to the coordinators, put to one after the other until somebody has the answer.

The next one is asked as soon as the one before has failed, or has been silent for PATIENCE_S; a silent one
goes on being listened to, for it may only be slow. Whoever says "not active" and names the active one is
believed at once. When all have been asked in vain a new round begins after a wait. So a dead, hung or wrong
address costs little, and nobody is asked twice at the same time.

What a question is, and what an error means for it, is the caller's: it may be asked of several coordinators,
so it must bear being carried out twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from streamkeep_common.coordinators.addresses import CoordinatorAddresses, Round
from streamkeep_common.errors import (
    NotActiveError,
    ShuttingDownError,
    StreamkeepError,
    TimedOutError,
    UnavailableError,
)
from streamkeep_common.retry import Backoff, RetryPolicy
from streamkeep_common.seams.clock import Clock

T = TypeVar("T")

PATIENCE_S = 0.3
"""A coordinator silent for so long is asked no more alone. Far above what an answer takes, far below an
election (0.6 to 1.2 s), so that by the end of one nobody still waits for a hung coordinator."""


_GONE = (UnavailableError, TimedOutError, ShuttingDownError)

_LEAST_WAIT_S = 0.001
"""What is left until a moment may be too little to be added to the time at all."""


class Verdict(Enum):
    """What an error of one coordinator says of the question."""

    LATER = auto()
    """Another may know better now, and this one later."""
    ELSEWHERE = auto()
    """Another may know better, this one never will."""
    FINAL = auto()
    """This is the answer."""


@dataclass(slots=True)
class _Attempt(Generic[T]):
    address: str
    task: asyncio.Future[T]
    patience_ends_s: float
    is_late: bool = False


class Search(Generic[T]):
    """See the module. `failures` has the latest of each address that was asked in vain."""

    def __init__(
        self,
        addresses: CoordinatorAddresses,
        ask: Callable[[str], Awaitable[T]],
        *,
        judge: Callable[[StreamkeepError], Verdict],
        active_first: bool,
        clock: Clock,
        rng: random.Random,
        pace: RetryPolicy,
        second_best: Callable[[T], bool] = lambda _: False,
        discard: Callable[[T], Awaitable[None]] | None = None,
    ) -> None:
        """An answer that is `second_best` counts if nobody of a round has a better one. One that comes beside
        another and is not needed is given to `discard`."""
        self.failures: dict[str, StreamkeepError] = {}
        self._addresses = addresses
        self._ask = ask
        self._judge = judge
        self._active_first = active_first
        self._clock = clock
        self._second_best = second_best
        self._discard = discard
        self._backoff = Backoff(pace, rng)
        self._attempts: list[_Attempt[T]] = []
        self._round = Round(addresses.in_order(active_first=active_first), being_asked=())
        self._next_round_s: float | None = None
        self._in_reserve: list[T] = []

    async def run(self, *, timeout_s: float = float("inf")) -> T:
        """The answer. Raises an error that is FINAL; the latest once all are ELSEWHERE; and TimeoutError."""
        deadline_s = self._clock.monotonic() + timeout_s
        try:
            while True:
                now_s = self._clock.monotonic()
                if found := self._collect() or self._proceed(now_s):
                    return found[0]
                if now_s >= deadline_s:
                    return self._last_resort()
                wait_s = min(self._next_move_s(), deadline_s) - now_s
                await self._wait_for_news(max(wait_s, _LEAST_WAIT_S))
        finally:
            await self._drop_the_rest()

    def _last_resort(self) -> T:
        if not self._in_reserve:
            raise TimeoutError
        return self._in_reserve[0]

    # --- answers ---

    def _collect(self) -> list[T]:
        """Deal with what has arrived; the answer, if it is among it."""
        for attempt in [attempt for attempt in self._attempts if attempt.task.done()]:
            error = attempt.task.exception()
            if isinstance(error, StreamkeepError):
                self._attempts.remove(attempt)
                self._refused(attempt.address, error)
                continue
            answer = attempt.task.result()
            self._attempts.remove(attempt)
            self.failures.pop(attempt.address, None)
            if self._second_best(answer):
                self._addresses.answered(attempt.address)
                self._in_reserve = [answer]
                continue
            self._addresses.served(attempt.address, as_active=self._active_first)
            return [answer]
        return []

    def _refused(self, address: str, error: StreamkeepError) -> None:
        if self._judge(error) is Verdict.FINAL:
            self._addresses.answered(address)
            raise error
        self._note(address, error)
        if isinstance(error, NotActiveError):
            self._addresses.redirected(address, error.active_address)
            if self._round.redirect(error.active_address):
                self._begin(error.active_address)
        elif isinstance(error, _GONE) or self._judge(error) is Verdict.ELSEWHERE:
            self._addresses.failed(address)
        else:
            self._addresses.answered(address)

    def _note(self, address: str, error: StreamkeepError) -> None:
        self.failures.pop(address, None)
        self.failures[address] = error

    # --- questions ---

    def _proceed(self, now_s: float) -> list[T]:
        """Ask whoever is due; what is held in reserve, once a round has brought nothing better."""
        while not self._is_patient(now_s):
            address = self._round.next()
            if address is None:
                return self._in_reserve or self._end_round(now_s)
            self._begin(address)
        return []

    def _is_patient(self, now_s: float) -> bool:
        """Somebody may be about to answer. Notes those who are late."""
        for attempt in self._attempts:
            if now_s >= attempt.patience_ends_s and not attempt.is_late:
                attempt.is_late = True
                self._addresses.failed(attempt.address)
                self._note(attempt.address, TimedOutError(f"the coordinator at {attempt.address} is silent"))
        return any(not attempt.is_late for attempt in self._attempts)

    def _end_round(self, now_s: float) -> list[T]:
        hopeless = all(self._judge(error) is Verdict.ELSEWHERE for error in self.failures.values())
        if hopeless and not self._attempts:
            raise next(reversed(self.failures.values()))
        if self._next_round_s is None:
            self._next_round_s = now_s + self._backoff.next_wait_s()
        elif now_s >= self._next_round_s:
            self._next_round_s = None
            order = self._addresses.in_order(active_first=self._active_first)
            self._round = Round(order, being_asked=[attempt.address for attempt in self._attempts])
        return []

    def _begin(self, address: str) -> None:
        """Who failed the last time is asked, but not waited for before the next one is asked."""
        patience_s = 0.0 if self._addresses.has_failed(address) else PATIENCE_S
        task = asyncio.ensure_future(self._ask(address))
        self._attempts.append(_Attempt(address, task, self._clock.monotonic() + patience_s))

    # --- waiting ---

    def _next_move_s(self) -> float:
        """When something is to be done even if nobody answers."""
        patience_s = [attempt.patience_ends_s for attempt in self._attempts if not attempt.is_late]
        if patience_s:
            return min(patience_s)
        return self._clock.monotonic() if self._next_round_s is None else self._next_round_s

    async def _wait_for_news(self, wait_s: float) -> None:
        if self._attempts:
            tasks = [attempt.task for attempt in self._attempts]
            await asyncio.wait(tasks, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        else:
            await self._clock.sleep(wait_s)

    async def _drop_the_rest(self) -> None:
        tasks = [attempt.task for attempt in self._attempts]
        self._attempts.clear()
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if self._discard is not None and not isinstance(outcome, BaseException):
                await self._discard(outcome)

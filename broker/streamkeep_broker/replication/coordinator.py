"""The active coordinator, as replication sees it: somebody to call while there is a session, and again when
that has failed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from streamkeep_broker.streams import Bell, cancel, run_watched
from streamkeep_common.errors import UnavailableError
from streamkeep_common.retry import Backoff, RetryPolicy
from streamkeep_common.seams import Clock, UnaryMethod

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

CALL_TIMEOUT_S = 1.5
"""A coordinator silent for longer is not the active one any more."""

RETRY = RetryPolicy(first_wait_ms=50, max_wait_ms=500)
"""Between calls that failed as a whole. There is always a next one, so its budget does not count."""

MAX_PARTITIONS_PER_CALL = 1_000
"""What more partitions have to say goes with the next call."""


class ActiveCoordinator(Protocol):
    """Whoever is active; it changes over time."""

    @property
    def is_open(self) -> bool:
        """There is a session."""
        ...

    @property
    def broker_epoch(self) -> int:
        """Of this broker's registration."""
        ...

    async def call(self, method: UnaryMethod[Q, R], request: Q, *, timeout_s: float) -> R:
        """Raises StreamkeepError, after which nobody knows whether the call had an effect."""
        ...


class OfPartition(Protocol):
    """One item of a call, or the answer to it."""

    @property
    def topic_id(self) -> bytes: ...

    @property
    def partition(self) -> int: ...


def check_answers(asked: Sequence[OfPartition], answered: Sequence[OfPartition]) -> None:
    """Raise UnavailableError unless there is one answer to each item, in the same order."""
    if [_key(each) for each in asked] != [_key(each) for each in answered]:
        raise UnavailableError("the coordinator answered something other than it was asked")


class CallLoop:
    """The one task that makes calls of a kind: it sleeps until it is woken, and pauses after those that
    failed."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._backoff = Backoff(RETRY, rng)
        self._bell = Bell()
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[Any, Any, None], on_failure: Callable[[Exception], None]) -> None:
        """Do `work` from now on."""
        self._task = run_watched(work, on_failure)

    async def stop(self) -> None:
        """Call nobody any more; the outcome of a call under way stays unknown."""
        if self._task is not None:
            await cancel(self._task)

    def wake(self) -> None:
        """There may be something to say, or somebody to say it to."""
        self._bell.ring()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Return when it was woken, or after `timeout_s`."""
        await self._bell.wait(timeout_s)

    def succeeded(self) -> None:
        """The next pause is a short one."""
        self._backoff.reset()

    async def pause(self) -> None:
        """After a call that failed."""
        await self._clock.sleep(self._backoff.next_wait_s())


def _key(item: OfPartition) -> tuple[bytes, int]:
    return item.topic_id, item.partition

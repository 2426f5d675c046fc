"""Keeps the view of the cluster up to date: asks on demand, one question for all who wait, never a storm."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable

from streamkeep.cluster_view import ClusterView, TopicView
from streamkeep.coordinators import Coordinators, Whom
from streamkeep_common.errors import (
    ClosedError,
    NoQuorumError,
    StreamkeepError,
    TimedOutError,
    UnknownTopicError,
)
from streamkeep_common.methods import GET_METADATA
from streamkeep_common.retry import Backoff, RetryPolicy
from streamkeep_common.seams.clock import Clock
from streamkeep_common.topics import check_topic_name
from streamkeep_proto.v1.coordinator_pb2 import GetMetadataRequest, GetMetadataResponse
from streamkeep_proto.v1.errors_pb2 import LeaderHint

_logger = logging.getLogger(__name__)

REFRESH_INTERVAL_S = 60.0
"""Topics in use are asked for this often even if nothing seems wrong, to learn of new partitions."""

ROUND_TIMEOUT_S = 10.0
"""One round of asking ends after this even if no coordinator answers."""

RETRY_INTERVAL_S = 1.0
"""After a round in vain the next one begins: who waits for a leader may have nobody else to remind us."""

_PACE = RetryPolicy(first_wait_ms=10, max_wait_ms=80)
"""Between rounds that follow each other closely: a crashed leader is replaced some 0.35 s later, and nobody
should then be in the middle of a long wait."""

_HASTE_S = 1.0
"""What is not settled after so long takes longer, and is asked about less often."""

_PATIENT_PACE = RetryPolicy(first_wait_ms=250, max_wait_ms=250)

_CALM_S = 1.0
"""After so long without a round the next one does not wait."""

_MISSING_ROUNDS = 3
"""A coordinator may not have heard of a new topic yet, so a missing one is asked for again."""


class MetadataCache:
    """`view` is what is known now; it changes only in rounds of refreshing and by hints of brokers."""

    def __init__(self, coordinators: Coordinators, clock: Clock, rng: random.Random) -> None:
        self.view = ClusterView()
        self._coordinators = coordinators
        self._clock = clock
        self._names: dict[str, None] = {}
        self._listeners: list[Callable[[], None]] = []
        self._pace = Backoff(_PACE, rng)
        self._patient_pace = Backoff(_PATIENT_PACE, rng)
        self._trouble_since_s = float("-inf")
        self._next_round: asyncio.Future[StreamkeepError | None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._is_urgent = False
        self._rested = asyncio.Event()
        self._last_round_s = float("-inf")
        self._periodic: asyncio.TimerHandle | None = None
        self._is_silent = False
        self._closed = False

    def watch(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every round and every hint that was news."""
        self._listeners.append(listener)

    def unwatch(self, listener: Callable[[], None]) -> None:
        self._listeners.remove(listener)

    async def topic(self, name: str, *, timeout_s: float) -> TopicView:
        """The topic, asked for if it is not known. From now on, while it exists, it is refreshed
        with the others.

        Raises InvalidTopicNameError, UnknownTopicError, or after `timeout_s` why no coordinator answered.
        """
        known = self.view.topics.get(name)
        if known is not None:
            return known
        check_topic_name(name)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._look_up(name)
        except TimeoutError:
            raise self._coordinators.last_failure or self._silence(name, timeout_s) from None

    async def topics(
        self, names: Iterable[str], *, timeout_s: float
    ) -> dict[str, TopicView | StreamkeepError]:
        """As `topic`, for several: asked for together, so that many take no longer than one."""
        found: dict[str, TopicView | StreamkeepError | None] = {
            name: self.view.topics.get(name) for name in names
        }
        unknown = [name for name, known in found.items() if known is None]
        told = await asyncio.gather(*(self._topic_or_error(name, timeout_s) for name in unknown))
        answers = dict(zip(unknown, told, strict=True))
        return {name: known or answers[name] for name, known in found.items()}

    async def _topic_or_error(self, name: str, timeout_s: float) -> TopicView | StreamkeepError:
        try:
            return await self.topic(name, timeout_s=timeout_s)
        except StreamkeepError as error:
            return error

    async def _look_up(self, name: str) -> TopicView:
        answers, is_new = 0, name not in self._names
        while answers < _MISSING_ROUNDS:
            self._names[name] = None
            error = await self.refresh(at_once=is_new)
            is_new = False
            known = self.view.topics.get(name)
            if known is not None:
                return known
            if error is not None and not error.retriable:
                raise error
            if error is None and not self.view.stale:
                answers += 1
        raise UnknownTopicError(f"topic '{name}' does not exist")

    def _silence(self, name: str, timeout_s: float) -> StreamkeepError:
        if self.view.stale:
            return NoQuorumError(f"topic '{name}' is not known to the coordinators that can be reached")
        return TimedOutError(f"no coordinator said within {timeout_s:g} s where topic '{name}' is")

    def hint(self, topic: str, partition: int, leader: LeaderHint | None) -> bool:
        """A broker named the leader of a partition. False if that is no news."""
        if leader is None or not self.view.apply_hint((topic, partition), leader):
            return False
        self._notify()
        return True

    def refresh_soon(self) -> None:
        """Ask again, without waiting for it. Rounds are paced, so call this at every sign of trouble."""
        if not self._closed:
            self._begin_round()

    async def refresh(self, *, at_once: bool = False) -> StreamkeepError | None:
        """Wait for a round that begins after now. Returns why nobody answered, if so; the view stays then.

        With `at_once` it does not wait for its turn among paced ones: for news that are sure to be there.
        """
        next_round = self._begin_round()
        if at_once:
            self._is_urgent = True
            self._rested.set()
        return await asyncio.shield(next_round)

    async def close(self) -> None:
        self._closed = True
        if self._periodic is not None:
            self._periodic.cancel()
        try:
            if self._asking is not None:
                self._asking.cancel()
                await asyncio.wait([self._asking])
        finally:
            self._end_round(self._next_round, ClosedError("the client was closed"))

    def _begin_round(self) -> asyncio.Future[StreamkeepError | None]:
        if self._closed:
            raise ClosedError("the client is closed")
        if self._next_round is None:
            self._next_round = asyncio.get_running_loop().create_future()
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="streamkeep-metadata")
        return self._next_round

    async def _ask(self) -> None:
        """Rounds, as long as somebody wants one."""
        this_round: asyncio.Future[StreamkeepError | None] | None = None
        try:
            while True:
                await self._keep_pace()
                this_round, self._next_round = self._next_round, None
                if this_round is None:
                    break
                self._end_round(this_round, await self._ask_once())
        finally:
            self._asking = None
            self._end_round(this_round, ClosedError("the client stopped asking"))

    async def _keep_pace(self) -> None:
        """Wait if the last round was a moment ago, and longer the more there were."""
        now_s = self._clock.monotonic()
        if now_s - self._last_round_s > _CALM_S:
            self._pace.reset()
            self._trouble_since_s = now_s
        elif self._next_round is not None and not self._is_urgent:
            pace = self._pace if now_s - self._trouble_since_s < _HASTE_S else self._patient_pace
            await self._rest(pace.next_wait_s())
        self._is_urgent = False
        self._last_round_s = self._clock.monotonic()

    async def _rest(self, wait_s: float) -> None:
        """So long, or until something is urgent."""
        self._rested.clear()
        timer = asyncio.get_running_loop().call_later(wait_s, self._rested.set)
        try:
            await self._rested.wait()
        finally:
            timer.cancel()

    async def _ask_once(self) -> StreamkeepError | None:
        request = GetMetadataRequest(names=list(self._names))
        try:
            response = await self._coordinators.ask(
                Whom.ANY,
                GET_METADATA,
                request,
                timeout_s=ROUND_TIMEOUT_S,
                second_best=lambda answer: answer.stale,
            )
        except StreamkeepError as error:
            self._tell_of_silence(error)
            self._refresh_later(RETRY_INTERVAL_S)
            return error
        if self._is_silent:
            self._is_silent = False
            _logger.info("coordinators answer again")
        self._take(response)
        self._refresh_later(RETRY_INTERVAL_S if response.stale else REFRESH_INTERVAL_S)
        return None

    def _tell_of_silence(self, error: StreamkeepError) -> None:
        """Once, and not every round, which would drown what else is logged."""
        if self._is_silent:
            _logger.debug("metadata could not be refreshed: %s", error)
        else:
            self._is_silent = True
            _logger.warning("metadata could not be refreshed, and is asked for until it is: %s", error)

    def _take(self, response: GetMetadataResponse) -> None:
        if response.stale and not self.view.stale:
            _logger.warning("the coordinators that can be reached have no quorum: metadata may be old")
        elif self.view.stale and not response.stale:
            _logger.info("the coordinators have a quorum again")
        for name in self.view.apply(response):
            if name not in self.view.topics:
                self._names.pop(name, None)
        self._notify()

    def _refresh_later(self, wait_s: float) -> None:
        if self._periodic is not None:
            self._periodic.cancel()
        self._periodic = asyncio.get_running_loop().call_later(wait_s, self.refresh_soon)

    def _notify(self) -> None:
        for listener in list(self._listeners):
            listener()

    @staticmethod
    def _end_round(
        waiting: asyncio.Future[StreamkeepError | None] | None, error: StreamkeepError | None
    ) -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(error)

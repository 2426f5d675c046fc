"""Whose turn it is on a stream that carries many subscriptions. Pure: no I/O, no tasks, no time.

Those that are ready take turns, so that one with much to read never starves one with little. Those that have
nothing to be read still owe their reader news of the watermark; the news of many moves is told once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, TypeVar

from streamkeep_common.errors import InvalidRequestError


class Turn(ABC):
    """One subscription of a stream."""

    __slots__ = ("active", "id", "queued")

    def __init__(self, subscription_id: int) -> None:
        self.id = subscription_id
        self.active = True
        self.queued = False

    @property
    @abstractmethod
    def ready(self) -> bool:
        """There is something to be read for it, and it may be sent."""


T = TypeVar("T", bound=Turn)


class Turns(Generic[T]):
    """The subscriptions of one stream, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._subscriptions: dict[int, T] = {}
        self._queue: deque[T] = deque()
        self._news: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._subscriptions)

    def get(self, subscription_id: int) -> T | None:
        """The subscription of that number, unless it has ended."""
        return self._subscriptions.get(subscription_id)

    def check_new(self, subscription_id: int) -> None:
        """Raise InvalidRequestError if the number is being used or there are too many."""
        if subscription_id in self._subscriptions:
            raise InvalidRequestError(f"subscription {subscription_id} is in use on this stream")
        if len(self._subscriptions) >= self._limit:
            raise InvalidRequestError(f"a stream carries at most {self._limit} subscriptions")

    def add(self, subscription: T) -> None:
        """One more from now on; its watermark is news at once."""
        self.check_new(subscription.id)
        self._subscriptions[subscription.id] = subscription
        self.moved(subscription)

    def stop(self, subscription_id: int) -> T | None:
        """End a subscription; returns it if there was one."""
        subscription = self._subscriptions.pop(subscription_id, None)
        if subscription is not None:
            subscription.active = False
            self._news.pop(subscription_id, None)
        return subscription

    def clear(self) -> list[T]:
        """End all; returns those there were."""
        ended = [self.stop(subscription_id) for subscription_id in list(self._subscriptions)]
        return [subscription for subscription in ended if subscription is not None]

    def moved(self, subscription: T) -> None:
        """The watermark or the log start of what it reads moved."""
        if subscription.active:
            self._news[subscription.id] = subscription
            self.look(subscription)

    def look(self, subscription: T) -> None:
        """It may have become ready."""
        if not subscription.queued and subscription.ready:
            subscription.queued = True
            self._queue.append(subscription)

    @property
    def has_turn(self) -> bool:
        """Somebody waits to be taken."""
        return bool(self._queue)

    def take(self) -> T | None:
        """Whose turn it is to be read, or None. The caller reads it, then says what was sent or stops it."""
        while self._queue:
            subscription = self._queue.popleft()
            subscription.queued = False
            if subscription.ready:
                return subscription
        return None

    def told(self, subscription: T) -> None:
        """The watermark has just been told along with something else."""
        self._news.pop(subscription.id, None)

    @property
    def has_news(self) -> bool:
        """Some reader has not been told of the watermark."""
        return bool(self._news)

    def take_news(self) -> list[T]:
        """Those whose reader has not been told of the watermark and will not be by data at once."""
        told = [subscription for subscription in self._news.values() if not self._may_be_read(subscription)]
        for subscription in told:
            del self._news[subscription.id]
        return told

    def _may_be_read(self, subscription: T) -> bool:
        return subscription.ready

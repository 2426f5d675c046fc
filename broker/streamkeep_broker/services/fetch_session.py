"""What a fetch stream should read next: credit, readiness and turns. Pure: no I/O, no tasks, no time.

A subscription is ready when it has credit and stands below its partition's high watermark. Ready ones take
turns, so that a partition with much to read never starves one with little. Those that cannot be read
still owe their reader news of the watermark; the news of many moves is told once.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

from streamkeep_common.errors import InvalidRequestError

MAX_SUBSCRIPTIONS = 10_000


class Source(Protocol):
    """What the session looks at in a partition."""

    @property
    def high_watermark(self) -> int: ...


S = TypeVar("S", bound=Source)


class Subscription(Generic[S]):
    """One partition being read. `next_offset` is where the next slice begins; credit may be overdrawn."""

    __slots__ = ("active", "credit_bytes", "id", "next_offset", "queued", "source")

    def __init__(self, subscription_id: int, source: S, next_offset: int, credit_bytes: int) -> None:
        self.id = subscription_id
        self.source = source
        self.next_offset = next_offset
        self.credit_bytes = credit_bytes
        self.queued = False
        self.active = True

    @property
    def ready(self) -> bool:
        return self.active and self.credit_bytes > 0 and self.next_offset < self.source.high_watermark


class FetchSession(Generic[S]):
    """The subscriptions of one stream."""

    def __init__(self) -> None:
        self._subscriptions: dict[int, Subscription[S]] = {}
        self._turns: deque[Subscription[S]] = deque()
        self._news: dict[int, Subscription[S]] = {}

    def __len__(self) -> int:
        return len(self._subscriptions)

    def get(self, subscription_id: int) -> Subscription[S] | None:
        """The subscription of that number, unless it has ended."""
        return self._subscriptions.get(subscription_id)

    def check_new(self, subscription_id: int) -> None:
        """Raise InvalidRequestError if the number is being used or there are too many."""
        if subscription_id in self._subscriptions:
            raise InvalidRequestError(f"subscription {subscription_id} is in use on this stream")
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise InvalidRequestError(f"a fetch stream carries at most {MAX_SUBSCRIPTIONS} subscriptions")

    def start(
        self, subscription_id: int, source: S, *, next_offset: int, credit_bytes: int
    ) -> Subscription[S]:
        """Read a partition from now on; its watermark is news at once. The offset has been checked."""
        self.check_new(subscription_id)
        subscription = Subscription(subscription_id, source, next_offset, credit_bytes)
        self._subscriptions[subscription_id] = subscription
        self.moved(subscription)
        return subscription

    def credit(self, subscription_id: int, amount: int) -> None:
        """Allow `amount` more bytes. One that has just ended is ignored: the client cannot know yet."""
        if amount < 0:
            raise InvalidRequestError("credit is never negative")
        subscription = self._subscriptions.get(subscription_id)
        if subscription is not None:
            subscription.credit_bytes += amount
            self._enqueue(subscription)

    def stop(self, subscription_id: int) -> Subscription[S] | None:
        """End a subscription; returns it if there was one."""
        subscription = self._subscriptions.pop(subscription_id, None)
        if subscription is not None:
            subscription.active = False
            self._news.pop(subscription_id, None)
        return subscription

    def clear(self) -> list[Subscription[S]]:
        """End all; returns those there were."""
        ended = [self.stop(subscription_id) for subscription_id in list(self._subscriptions)]
        return [subscription for subscription in ended if subscription is not None]

    def moved(self, subscription: Subscription[S]) -> None:
        """Its partition's high watermark or log start moved."""
        if subscription.active:
            self._news[subscription.id] = subscription
            self._enqueue(subscription)

    def take(self) -> Subscription[S] | None:
        """Whose turn it is to be read, or None. The caller reads it, then calls `sent` or `stop`."""
        while self._turns:
            subscription = self._turns.popleft()
            subscription.queued = False
            if subscription.ready:
                return subscription
        return None

    def sent(self, subscription: Subscription[S], size_bytes: int, next_offset: int) -> None:
        """A slice of `size_bytes` up to `next_offset` is on its way, with the watermark."""
        assert next_offset >= subscription.next_offset
        subscription.credit_bytes -= size_bytes
        subscription.next_offset = next_offset
        self._news.pop(subscription.id, None)
        self._enqueue(subscription)

    def take_news(self) -> list[Subscription[S]]:
        """Those whose reader has not been told of the watermark and will not be by data at once."""
        told = [s for s in self._news.values() if not s.ready]
        for subscription in told:
            del self._news[subscription.id]
        return told

    def _enqueue(self, subscription: Subscription[S]) -> None:
        if not subscription.queued and subscription.ready:
            subscription.queued = True
            self._turns.append(subscription)

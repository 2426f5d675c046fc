"""What a fetch stream should read next: credit and turns. Pure: no I/O, no tasks, no time.

A subscription is ready when it has credit and stands below its partition's high watermark.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from streamkeep_broker.services.turns import Turn, Turns
from streamkeep_common.errors import InvalidRequestError

MAX_SUBSCRIPTIONS = 10_000


class Source(Protocol):
    """What the session looks at in a partition."""

    @property
    def high_watermark(self) -> int: ...


S = TypeVar("S", bound=Source)


class Subscription(Turn, Generic[S]):
    """One partition being read. `next_offset` is where the next slice begins; credit may be overdrawn."""

    __slots__ = ("credit_bytes", "next_offset", "source")

    def __init__(self, subscription_id: int, source: S, next_offset: int, credit_bytes: int) -> None:
        super().__init__(subscription_id)
        self.source = source
        self.next_offset = next_offset
        self.credit_bytes = credit_bytes

    @property
    def ready(self) -> bool:
        return self.active and self.credit_bytes > 0 and self.next_offset < self.source.high_watermark


class FetchSession(Turns[Subscription[S]]):
    """The subscriptions of one stream."""

    def __init__(self) -> None:
        super().__init__(MAX_SUBSCRIPTIONS)

    def start(
        self, subscription_id: int, source: S, *, next_offset: int, credit_bytes: int
    ) -> Subscription[S]:
        """Read a partition from now on. The offset has been checked."""
        subscription = Subscription(subscription_id, source, next_offset, credit_bytes)
        self.add(subscription)
        return subscription

    def credit(self, subscription_id: int, amount: int) -> None:
        """Allow `amount` more bytes. One that has just ended is ignored: the client cannot know yet."""
        if amount < 0:
            raise InvalidRequestError("credit is never negative")
        subscription = self.get(subscription_id)
        if subscription is not None:
            subscription.credit_bytes += amount
            self.look(subscription)

    def sent(self, subscription: Subscription[S], size_bytes: int, next_offset: int) -> None:
        """A slice of `size_bytes` up to `next_offset` is on its way, with the watermark."""
        assert next_offset >= subscription.next_offset
        subscription.credit_bytes -= size_bytes
        subscription.next_offset = next_offset
        self.told(subscription)
        self.look(subscription)

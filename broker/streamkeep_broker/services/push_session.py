"""What a replication stream should push next: the window, its shares, rates and turns. Pure: time comes in.

A subscription is ready when it stands below its leader's log end, has not used up its share of the window,
and does not rest. A window is what is pushed ahead of the follower's acknowledgements, by log end; what
crosses it is sent whole.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Generic, NamedTuple, Protocol, TypeVar

from streamkeep_broker.services.turns import Turn, Turns
from streamkeep_common.errors import InvalidRequestError

MAX_FOLLOWED = 100_000
"""Subscriptions of one stream."""

SHARES = 4
"""So many can use all they may of the window: one whose follower hangs leaves the rest of it to others."""

STUCK_S = 0.5
"""A share that is used up, and of which nothing was acknowledged for so long, is stuck."""

CHUNK_BYTES = 1024 * 1024
"""Read at once for one subscription."""

CHUNKS_PER_S = 4
"""With a rate, a chunk is at most what may be sent in a part of a second, so that it flows evenly."""


class Source(Protocol):
    """What the session looks at in a partition."""

    @property
    def log_end_offset(self) -> int: ...

    @property
    def rate_bytes(self) -> int:
        """Bytes a second that may be pushed; -1 = as many as there are."""
        ...


S = TypeVar("S", bound=Source)


class _InFlight(NamedTuple):
    """On its way to the follower, or in its log and not acknowledged yet."""

    end_offset: int
    size_bytes: int


class PushSubscription(Turn, Generic[S]):
    """One partition being pushed. `next_offset` is where the next push begins."""

    __slots__ = (
        "heard_s",
        "next_offset",
        "pushed",
        "rests_until_s",
        "share_bytes",
        "source",
        "unacknowledged_bytes",
    )

    def __init__(self, subscription_id: int, source: S, next_offset: int, share_bytes: int) -> None:
        super().__init__(subscription_id)
        self.source = source
        self.next_offset = next_offset
        self.share_bytes = share_bytes
        self.unacknowledged_bytes = 0
        self.pushed: deque[_InFlight] = deque()
        self.rests_until_s: float | None = None
        self.heard_s = 0.0

    @property
    def ready(self) -> bool:
        return (
            self.active
            and self.next_offset < self.source.log_end_offset
            and self.unacknowledged_bytes < self.share_bytes
            and self.rests_until_s is None
        )

    @property
    def chunk_bytes(self) -> int:
        """How much to read for it at once."""
        rate = self.source.rate_bytes
        return CHUNK_BYTES if rate < 0 else min(CHUNK_BYTES, rate // CHUNKS_PER_S + 1)


class PushSession(Turns[PushSubscription[S]]):
    """The subscriptions of one stream and the window that they share."""

    def __init__(self, window_bytes: int) -> None:
        super().__init__(MAX_FOLLOWED)
        self._window_bytes = window_bytes
        self._share_bytes = window_bytes // SHARES
        self._unacknowledged_bytes = 0
        self._resting: list[tuple[float, int, PushSubscription[S]]] = []
        self._rests = 0
        self._used_up: dict[int, PushSubscription[S]] = {}

    @property
    def _has_room(self) -> bool:
        return self._unacknowledged_bytes < self._window_bytes

    @property
    def has_turn(self) -> bool:
        """Somebody can be taken."""
        return self._has_room and super().has_turn

    def start(self, subscription_id: int, source: S, *, next_offset: int) -> PushSubscription[S]:
        """Push a partition from now on. The follower's offset has been checked."""
        subscription = PushSubscription(subscription_id, source, next_offset, self._share_bytes)
        self.add(subscription)
        return subscription

    def stop(self, subscription_id: int) -> PushSubscription[S] | None:
        """End a subscription; what it had of the window is free. Returns it if there was one."""
        subscription = super().stop(subscription_id)
        if subscription is not None:
            self._unacknowledged_bytes -= subscription.unacknowledged_bytes
            self._used_up.pop(subscription_id, None)
        return subscription

    def take(self) -> PushSubscription[S] | None:
        """Whose turn it is to be read, or None while the window is used up or nobody is ready."""
        return super().take() if self._has_room else None

    def sent(
        self, subscription: PushSubscription[S], size_bytes: int, next_offset: int, *, now_s: float
    ) -> None:
        """Frames of `size_bytes` up to `next_offset` are on their way, with the watermark."""
        assert next_offset > subscription.next_offset
        if not subscription.pushed:
            subscription.heard_s = now_s
        subscription.pushed.append(_InFlight(next_offset, size_bytes))
        subscription.next_offset = next_offset
        subscription.unacknowledged_bytes += size_bytes
        self._unacknowledged_bytes += size_bytes
        if subscription.unacknowledged_bytes >= subscription.share_bytes:
            self._used_up[subscription.id] = subscription
        self._rest(subscription, size_bytes, now_s)
        self.told(subscription)
        self.look(subscription)

    def acknowledged(self, subscription: PushSubscription[S], log_end_offset: int, *, now_s: float) -> None:
        """The follower's log has all below `log_end_offset`. InvalidRequestError if that was never pushed."""
        if log_end_offset > subscription.next_offset:
            raise InvalidRequestError(
                f"offset {log_end_offset} is acknowledged, and {subscription.next_offset} comes next"
            )
        pushed = subscription.pushed
        while pushed and pushed[0].end_offset <= log_end_offset:
            size_bytes = pushed.popleft().size_bytes
            subscription.unacknowledged_bytes -= size_bytes
            self._unacknowledged_bytes -= size_bytes
            subscription.heard_s = now_s
        if subscription.unacknowledged_bytes < subscription.share_bytes:
            self._used_up.pop(subscription.id, None)
        self.look(subscription)

    def stuck(self, now_s: float) -> list[PushSubscription[S]]:
        """Those whose follower takes nothing: their share is used up, and nothing comes back."""
        return [each for each in self._used_up.values() if now_s - each.heard_s > STUCK_S]

    def _may_be_read(self, subscription: PushSubscription[S]) -> bool:
        return subscription.ready and self._has_room

    # --- rates ---

    def end_rests(self, now_s: float) -> float | None:
        """Let those go on that have rested; returns the seconds until the next one has, None = none rests."""
        while self._resting and self._resting[0][0] <= now_s:
            _, _, subscription = heappop(self._resting)
            subscription.rests_until_s = None
            self.look(subscription)
        return self._resting[0][0] - now_s if self._resting else None

    def _rest(self, subscription: PushSubscription[S], size_bytes: int, now_s: float) -> None:
        rate = subscription.source.rate_bytes
        if rate < 0:
            return
        subscription.rests_until_s = now_s + size_bytes / rate
        self._rests += 1
        heappush(self._resting, (subscription.rests_until_s, self._rests, subscription))

"""The followers of one partition, as its leader sees them within one leader epoch. Pure: it does no I/O.

It holds what each has acknowledged, and which subscription is the newest of each: only that one counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from streamkeep_broker.replication.isr_changes import Candidate
from streamkeep_broker.replication.progress import Durability, FollowerProgress
from streamkeep_common.errors import ReplicaNotAvailableError, StaleBrokerEpochError, StreamkeepError
from streamkeep_common.image import BrokerImage


class Subscription(Protocol):
    """The leader's end of one follower's subscription."""

    @property
    def follower_id(self) -> int: ...

    @property
    def broker_epoch(self) -> int:
        """Of the follower, as it said when its stream began."""
        ...

    def appended(self) -> None:
        """The leader's log has grown."""
        ...

    def moved(self) -> None:
        """The high watermark or the log start moved."""
        ...

    def ended(self, error: StreamkeepError) -> None:
        """The leader serves it no more; it has been removed."""
        ...

    def replaced(self) -> None:
        """The follower has a newer one; it has been removed."""
        ...


class Followers:
    """See the module. `since_s`: one that is never heard of counts as caught up when the epoch began."""

    def __init__(self, leader_id: int, *, since_s: float) -> None:
        self._leader_id = leader_id
        self._since_s = since_s
        self._directories: Mapping[int, bytes] = {}
        self._brokers: Mapping[int, BrokerImage] = {}
        self._progress: dict[int, FollowerProgress] = {}
        self._subscriptions: dict[int, Subscription] = {}

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._subscriptions.values())

    def __len__(self) -> int:
        return len(self._subscriptions)

    # --- what the image says ---

    def update(self, directories: Mapping[int, bytes], brokers: Mapping[int, BrokerImage]) -> None:
        """Forget whoever is no replica any more or has registered anew: it may have lost what it had.

        `directories` are those of the replicas, by broker, in the replicas' order.
        """
        self._directories = directories
        self._brokers = brokers
        for follower_id, progress in list(self._progress.items()):
            try:
                self.check(follower_id, progress.broker_epoch)
            except StreamkeepError as error:
                del self._progress[follower_id]
                subscription = self._subscriptions.pop(follower_id, None)
                if subscription is not None:
                    subscription.ended(error)

    def check(self, follower_id: int, broker_epoch: int) -> None:
        """Raise ReplicaNotAvailableError or StaleBrokerEpochError unless the image knows this follower so."""
        if follower_id == self._leader_id or follower_id not in self._directories:
            raise ReplicaNotAvailableError(f"broker {follower_id} has no replica that could follow")
        current = self.broker_epoch(follower_id)
        if not current or broker_epoch != current:
            raise StaleBrokerEpochError(
                f"broker {follower_id} follows under broker epoch {broker_epoch}, and {current} is registered"
            )

    def broker_epoch(self, broker_id: int) -> int:
        """Of its current registration, 0 = it has none."""
        broker = self._brokers.get(broker_id)
        return 0 if broker is None else broker.broker_epoch

    # --- subscriptions ---

    def add(
        self,
        subscription: Subscription,
        *,
        log_end_offset: int,
        flushed_end_offset: int,
        log_start_offset: int = 0,
        leader_end: int,
        now_s: float,
    ) -> None:
        """A subscription that was checked: from now on it is the newest of its follower."""
        follower_id = subscription.follower_id
        before = self._subscriptions.pop(follower_id, None)
        self._subscriptions[follower_id] = subscription
        progress = self._progress.get(follower_id)
        if progress is not None:
            progress.begin(
                log_end_offset,
                flushed_end_offset,
                log_start_offset=log_start_offset,
                leader_end=leader_end,
                now_s=now_s,
            )
        else:
            self._progress[follower_id] = FollowerProgress(
                subscription.broker_epoch,
                log_end_offset=log_end_offset,
                flushed_end_offset=flushed_end_offset,
                log_start_offset=log_start_offset,
                leader_end=leader_end,
                now_s=now_s,
            )
        if before is not None:
            before.replaced()

    def progress_of(self, subscription: Subscription) -> FollowerProgress | None:
        """What its follower has acknowledged; None, for it counts for nothing, if it is not the newest."""
        if self._subscriptions.get(subscription.follower_id) is not subscription:
            return None
        return self._progress[subscription.follower_id]

    def remove(self, subscription: Subscription) -> None:
        """It is over; what was acknowledged stays. Nothing happens if it is not the newest."""
        if self._subscriptions.get(subscription.follower_id) is subscription:
            del self._subscriptions[subscription.follower_id]

    def end_all(self, error: StreamkeepError) -> None:
        """End every subscription."""
        subscriptions, self._subscriptions = self._subscriptions, {}
        for subscription in subscriptions.values():
            subscription.ended(error)

    # --- what they amount to ---

    def acknowledged_ends(self, durability: Durability) -> dict[int, int]:
        """Of those that were heard of."""
        return {
            follower_id: progress.acknowledged_end(durability)
            for follower_id, progress in self._progress.items()
        }

    def log_starts(self) -> dict[int, int]:
        """Where the logs begin of those that were heard of."""
        return {follower_id: progress.log_start_offset for follower_id, progress in self._progress.items()}

    def look(self, durability: Durability, *, leader_end: int, now_s: float) -> None:
        """Take note of who is caught up; see FollowerProgress."""
        for progress in self._progress.values():
            progress.look(progress.acknowledged_end(durability), leader_end=leader_end, now_s=now_s)

    def restart_lag(self, follower_id: int, now_s: float) -> None:
        """One that has just become a member gets as much time to catch up as any other."""
        progress = self._progress.get(follower_id)
        if progress is not None:
            progress.caught_up_s = now_s

    def candidates(self, durability: Durability) -> list[Candidate]:
        """All replicas but the leader's, in the replicas' order."""
        return [self._candidate(each, durability) for each in self._directories if each != self._leader_id]

    def _candidate(self, follower_id: int, durability: Durability) -> Candidate:
        progress = self._progress.get(follower_id)
        broker = self._brokers.get(follower_id)
        return Candidate(
            broker_id=follower_id,
            live=broker is not None and not broker.fenced,
            has_good_directory=broker is not None and _is_good(broker, self._directories[follower_id]),
            follows=follower_id in self._subscriptions,
            acknowledged_end=None if progress is None else progress.acknowledged_end(durability),
            caught_up_s=self._since_s if progress is None else progress.caught_up_s,
        )


def _is_good(broker: BrokerImage, directory_id: bytes) -> bool:
    """The directory is there, takes appends, and flushes them in time."""
    bad = broker.is_stalled(directory_id) or broker.is_full(directory_id)
    return directory_id in broker.directory_ids and not bad

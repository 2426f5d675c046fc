"""Where one partition is read: from its leader, or from a replica in the reader's rack (KIP-392).

The leader knows who is in sync, so it says whom to read from; whatever goes wrong there, the reader comes
back to the leader, and asks to be sent elsewhere again only after a while. Knows no streams of its own.
"""

from __future__ import annotations

import asyncio

from streamkeep.cluster_view import NO_ADDRESS
from streamkeep.consumer.fetch_link import FetchLink, Place
from streamkeep_common.retry import Backoff, RetryPolicy

SHUN = RetryPolicy(first_wait_ms=2_000, max_wait_ms=300_000)
"""After a replica that could not be read from, the leader serves for so long: longer each time, until one can
be read from. Nobody else tells a replica that is down from one that only this reader cannot reach."""


class Route:
    """Where one partition is read at present."""

    __slots__ = (
        "_rack",
        "backoff",
        "leader_address",
        "leader_epoch",
        "link",
        "replica_address",
        "replica_backoff",
        "resetting",
        "shunning",
        "timer",
    )

    def __init__(self, rack: str, *, backoff: Backoff, replica_backoff: Backoff) -> None:
        self.backoff = backoff
        self.replica_backoff = replica_backoff
        self.leader_address = NO_ADDRESS
        self.leader_epoch = 0
        self.replica_address = NO_ADDRESS
        self.link: FetchLink | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.resetting: asyncio.Task[None] | None = None
        self.shunning: asyncio.TimerHandle | None = None
        """While it runs, the leader is to name no replica."""
        self._rack = rack

    @property
    def address(self) -> str:
        """The broker to read from; empty while none is known."""
        return self.replica_address or self.leader_address

    def place(self) -> Place:
        """What the broker is told of the reader."""
        from_follower = self.replica_address != NO_ADDRESS
        rack = "" if from_follower or self.shunning is not None else self._rack
        return Place(self.leader_epoch, rack, from_follower)

    def follow_leader(self, address: str, leader_epoch: int) -> bool:
        """The leader as the cluster has it now. False if that is no news."""
        if (self.leader_address, self.leader_epoch) == (address, leader_epoch):
            return False
        self.leader_address, self.leader_epoch = address, leader_epoch
        self.replica_address = NO_ADDRESS
        return True

    def succeeded(self) -> None:
        """Something was read here."""
        self.backoff.reset()
        if self.replica_address != NO_ADDRESS:
            self.replica_backoff.reset()

    def read_from(self, replica_address: str) -> None:
        """The leader named a replica."""
        self.replica_address = replica_address

    def come_back(self, shunning: asyncio.TimerHandle) -> None:
        """The replica could not be read from: the leader serves until `shunning` ends it."""
        self.replica_address = NO_ADDRESS
        self.shun_no_more()
        self.shunning = shunning

    def shun_no_more(self) -> None:
        """The leader may name a replica again."""
        if self.shunning is not None:
            self.shunning.cancel()
            self.shunning = None

    def stop_waiting(self) -> None:
        """Forget a restart or a reset that was under way."""
        if self.timer is not None:
            self.timer.cancel()
        if self.resetting is not None:
            self.resetting.cancel()
        self.timer = self.resetting = None

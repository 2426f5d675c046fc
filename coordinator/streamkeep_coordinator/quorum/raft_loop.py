"""Runs the Raft core: time, messages and requests in; messages, writes and committed entries out.

One write is under way at a time, so all that comes meanwhile shares the next flush. What promises something
(an answer to a leader or a candidate) leaves after the flush that makes it true. A failed write or flush is
final: what is on the disk is known only after a new start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from streamkeep_common.seams import Clock
from streamkeep_coordinator.raft import RaftNode, Role, Write
from streamkeep_proto.v1.metadata_pb2 import QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, RaftMessage


class Outlets(Protocol):
    """Where the core's instructions go."""

    def send(self, message: RaftMessage) -> None:
        """To its receiver; it may be lost."""
        ...

    def send_snapshot(self, coordinator_id: int, term: int) -> None:
        """Bring that member the newest snapshot, as leader of that term; `Driver.snapshot_sent` is told."""
        ...

    def write(self, write: Write) -> Callable[[], Awaitable[None]]:
        """Take at once what belongs to it, before another snapshot arrives. What is returned makes it
        durable; OSError is final.
        """
        ...

    def quorum_changed(self, quorum: QuorumRecord | None) -> None:
        """The newest quorum in the log is another one now."""
        ...

    def tick(self) -> None:
        """Time passes."""
        ...


class CoreOwner(Protocol):
    """Who acts on what the core says."""

    def may_tick(self) -> bool:
        """Whether time passes for the core."""
        ...

    def core_changed(self) -> None:
        """Something has happened to the core: its role, its term or its leader may be others."""
        ...

    def core_is_asked(self) -> None:
        """The core is about to say what is to be done: the moment for questions that share an answer."""
        ...

    def core_says(self, committed: Sequence[RaftEntry], reads: Sequence[tuple[int, int]]) -> None:
        """These entries are committed, and these reads (context, index) confirmed."""
        ...

    def core_failed(self, error: Exception) -> None:
        """Nothing can be promised any more."""
        ...


class RaftLoop:
    """Owns the core and the time between its ticks, `tick_s`."""

    def __init__(
        self, node: RaftNode, owner: CoreOwner, outlets: Outlets, clock: Clock, *, tick_s: float
    ) -> None:
        self.node = node
        self._owner = owner
        self._outlets = outlets
        self._clock = clock
        self._tick_s = tick_s
        self._quorum: QuorumRecord | None = None
        self._pump_is_due = False
        self._has_ended = False
        self._ticking: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Let time run."""
        self._ticking = asyncio.create_task(self._tick_on(), name="raft-ticks")
        self.pump_soon()

    def found(self, node: RaftNode) -> None:
        """Go on with the core of a new cluster; the one so far had no log.

        Nobody leads a cluster before it is founded: the time in which a leader may be heard is over.
        """
        assert self.node.log.last_index == 0, "there is a log already"
        assert self._writing is None, "a write is under way"
        self.node = node
        while node.role is Role.FOLLOWER:
            node.tick()
        self.changed()

    def do(self, work: Callable[[], None]) -> None:
        """Something happens to the core. One that contradicts itself must not go on, whatever it is."""
        if self._has_ended:
            return
        try:
            work()
            self.changed()
        except Exception as error:
            self._owner.core_failed(error)

    def changed(self) -> None:
        """The owner is told at once, for who leads no more must not decide anything more; the rest is
        done when the loop comes round.
        """
        self._owner.core_changed()
        self.pump_soon()

    def pump_soon(self) -> None:
        """Ask the core what is to be done when the loop comes round."""
        if not self._pump_is_due and not self._has_ended:
            self._pump_is_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def end(self) -> None:
        """Do nothing more; a write under way goes on."""
        self._has_ended = True

    async def wait_ended(self) -> None:
        """After `end`: return when nothing is under way any more."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        if self._writing is not None:
            await self._writing

    async def _tick_on(self) -> None:
        """One tick after each wait, however long that took: a process that stood still must not believe
        that it has waited for an answer all the time.
        """
        while not self._has_ended:
            self._outlets.tick()
            if self._owner.may_tick():
                self.do(self.node.tick)
            await self._clock.sleep(self._tick_s)

    def _pump(self) -> None:
        self._pump_is_due = False
        if self._has_ended:
            return
        try:
            self._carry_out()
        except Exception as error:  # as in `do`
            self._owner.core_failed(error)

    def _carry_out(self) -> None:
        if self.node.log.quorum is not self._quorum:
            self._quorum = self.node.log.quorum
            self._outlets.quorum_changed(self._quorum)
        self._owner.core_is_asked()
        ready = self.node.ready()
        for message in ready.messages:
            self._outlets.send(message)
        for coordinator_id in ready.snapshots:
            self._outlets.send_snapshot(coordinator_id, self.node.term)
        if ready.write is not None:
            assert self._writing is None, "one write at a time"
            make_durable = self._outlets.write(ready.write)
            self._writing = asyncio.create_task(self._write(ready.write, make_durable), name="raft-write")
        self._owner.core_says(ready.committed, ready.reads)

    async def _write(self, write: Write, make_durable: Callable[[], Awaitable[None]]) -> None:
        try:
            await make_durable()
            self._writing = None
            for message in write.messages:
                self._outlets.send(message)
            self.node.advance(write)
            self.changed()
        except Exception as error:  # a bug counts as a broken disk, or all would wait for ever
            self._writing = None
            self._owner.core_failed(error)

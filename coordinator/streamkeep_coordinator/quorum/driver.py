"""Runs the Raft core: time, messages and proposals in; messages, writes and committed entries out.

One write is under way at a time, so all that comes meanwhile shares the next flush. What promises something
(an answer to a leader or a candidate) leaves after the flush that makes it true. A failed write or flush is
final: what is on the disk is known only after a new start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Protocol

from streamkeep_common.errors import (
    InvalidQuorumChangeError,
    InvalidRequestError,
    NoQuorumError,
    NotActiveError,
    NotInitializedError,
    StreamkeepError,
    UnavailableError,
)
from streamkeep_common.seams import Clock
from streamkeep_coordinator.consensus import StateMachine
from streamkeep_coordinator.quorum.applier import Applier
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.quorum.reads import Reads
from streamkeep_coordinator.quorum.waiters import CommitWaiters, ceased_to_be_active
from streamkeep_coordinator.raft import (
    NotLeaderError,
    QuorumChangeError,
    RaftNode,
    Role,
    TooMuchUncommittedError,
    TransferInProgressError,
    Write,
)
from streamkeep_coordinator.storage.frame import MAX_PAYLOAD_BYTES
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftMessage


class Outlets(Protocol):
    """Where the driver's instructions go."""

    def send(self, message: RaftMessage) -> None:
        """To its receiver; it may be lost."""
        ...

    def send_snapshot(self, coordinator_id: int, term: int) -> None:
        """Bring that member the newest snapshot, as leader of that term; `Driver.snapshot_sent` is told."""
        ...

    def write(self, write: Write) -> Awaitable[None]:
        """Make it durable. OSError is final."""
        ...

    def quorum_changed(self, quorum: QuorumRecord | None) -> None:
        """The newest quorum in the log is another one now."""
        ...

    def tick(self) -> None:
        """Time passes."""
        ...


class Driver:
    """The Consensus of a coordinator. `tick_s` is the time between two ticks of the core.

    `on_failure` is called once, with the error after which this process cannot go on.
    """

    def __init__(
        self,
        node: RaftNode,
        applied_index: int,
        *,
        local: LocalCoordinator,
        outlets: Outlets,
        clock: Clock,
        rng: Random,
        tick_s: float,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.node = node
        self._local = local
        self._machine: StateMachine | None = None
        self._outlets = outlets
        self._clock = clock
        self._tick_s = tick_s
        self._on_failure = on_failure
        self._waiters = CommitWaiters()
        self._reads = Reads(rng)
        self._applier = Applier(clock, applied_index, on_entry=self._apply, on_failure=self.fail)
        self._active_term = 0
        self._leader = 0
        self._quorum: QuorumRecord | None = None
        self._pump_is_due = False
        self._ended: UnavailableError | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    # --- Consensus ---

    @property
    def is_initialized(self) -> bool:
        return self._local.is_formatted

    @property
    def removed(self) -> str:
        return self._local.removed

    @property
    def cluster_epoch(self) -> int:
        return self._local.identity.cluster_epoch if self.is_initialized else 0

    @property
    def is_active(self) -> bool:
        return self._active_term > 0

    @property
    def active_id(self) -> int:
        return self.node.leader

    @property
    def active_address(self) -> str:
        quorum = self.node.log.quorum
        if quorum is None or (self.active_id == self._local.id and not self.is_active):
            return ""
        return next((each.address for each in quorum.members if each.coordinator_id == self.active_id), "")

    @property
    def term(self) -> int:
        return self.node.term

    @property
    def committed_index(self) -> int:
        return self.node.log.committed_index

    @property
    def applied_index(self) -> int:
        return self._applier.applied_index

    def propose(self, records: Sequence[MetadataRecord]) -> MetadataEntry:
        self._check_active()
        entry = MetadataEntry(
            index=self.node.log.last_index + 1,
            term=self.node.term,
            time_ms=self._clock.now_ms(),
            records=records,
        )
        data = entry.SerializeToString()
        if len(data) > MAX_PAYLOAD_BYTES:
            raise InvalidRequestError(f"the request makes a metadata entry of {len(data)} bytes; split it")
        quorum = next((each.quorum for each in records if each.HasField("quorum")), None)
        try:
            self.node.propose(data, quorum=quorum)
        except (NotLeaderError, TransferInProgressError, TooMuchUncommittedError, QuorumChangeError) as error:
            raise self._refusal(error) from None
        self._after_input()
        return entry

    async def wait_committed(self, index: int, term: int) -> None:
        if index <= self.applied_index:
            if self.node.log.term_at(index) not in (term, None):
                raise ceased_to_be_active()
            return
        if self._active_term != term:
            raise ceased_to_be_active()
        await self._waiters.wait(index, term)

    async def read_barrier(self, timeout_s: float) -> None:
        self._check_open()
        read = self._reads.add()
        self._pump_soon()
        try:
            async with asyncio.timeout(timeout_s):
                await read
        except TimeoutError:
            raise NoQuorumError(f"no majority of the coordinators answered for {timeout_s} s") from None

    def transfer(self, to: int = 0) -> None:
        self._check_active()
        try:
            self.node.transfer(to)
        except (NotLeaderError, TransferInProgressError, QuorumChangeError) as error:
            raise self._refusal(error) from None
        self._after_input()

    # --- what happens ---

    def start(self, machine: StateMachine) -> None:
        """Let time run, and tell the machine what is agreed."""
        self._machine = machine
        self._ticking = asyncio.create_task(self._tick_on(), name="raft-ticks")
        self._pump_soon()

    def found(self, node: RaftNode) -> None:
        """The directory has become that of a new cluster, with this log; so far it had none.

        Nobody leads a cluster before it is founded: the time in which a leader may be heard is over.
        """
        assert self.node.log.last_index == 0, "there is a log already"
        assert self._writing is None, "a write is under way"
        self.node = node
        while node.role is Role.FOLLOWER:
            node.tick()
        self._after_input()

    def step(self, message: RaftMessage) -> None:
        """A message of another coordinator."""
        if self._ended is None and self.is_initialized:
            self._guarded(partial(self.node.step, message))

    def unreachable(self, coordinator_id: int) -> None:
        """The stream to a member broke."""
        if self._ended is None:
            self._guarded(partial(self.node.unreachable, coordinator_id))

    def snapshot_sent(self, coordinator_id: int, *, succeeded: bool) -> None:
        """A snapshot that was asked for has arrived, or will not."""
        if self._ended is None:
            self._guarded(partial(self.node.snapshot_sent, coordinator_id, succeeded=succeeded))

    def compact(self, index: int) -> None:
        """A snapshot of everything up to this index, and more, is durable: forget those entries."""
        if index > self.node.log.base_index:
            self.node.compact(index)

    def installed(self, index: int) -> None:
        """A snapshot has taken the place of everything up to this index."""
        self._applier.skip_to(index)
        self._reads.applied(index)

    def fail(self, error: Exception) -> None:
        """Nothing can be promised any more: everybody who waits is told, and the process must end."""
        if self._ended is not None:
            return
        reason = error.strerror if isinstance(error, OSError) else repr(error)
        self._end(f"the coordinator cannot go on: {reason}")
        self._on_failure(error)

    async def stop(self) -> None:
        """Let a write under way end, and do nothing more."""
        if self._ended is None:
            self._end("the coordinator has stopped")
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        if self._writing is not None:
            await self._writing

    # --- the loop ---

    async def _tick_on(self) -> None:
        """One tick after each wait, however long that took: a process that stood still must not believe
        that it has waited for an answer all the time."""
        while self._ended is None:
            self._outlets.tick()
            if self.is_initialized and not self.removed:
                self._reads.tick()
                self._guarded(self.node.tick)
            await self._clock.sleep(self._tick_s)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
            self._after_input()
        except Exception as error:  # a core that contradicts itself must not go on, whatever it is
            self.fail(error)

    def _after_input(self) -> None:
        """At once: who leads no more must not decide anything more. The rest when the loop comes round."""
        if self._active_term and (self.node.role is not Role.LEADER or self.node.term != self._active_term):
            self._deactivate()
        if self.node.leader != self._leader:
            self._leader = self.node.leader
            self._reads.ask_again()
        self._pump_soon()

    def _deactivate(self) -> None:
        assert self._machine is not None, "it has not started"
        self._active_term = 0
        self._waiters.fail()
        self._machine.deactivate()

    def _pump_soon(self) -> None:
        if not self._pump_is_due and self._ended is None:
            self._pump_is_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        if self._ended is not None:
            return
        try:
            self._carry_out()
        except Exception as error:  # as above
            self.fail(error)

    def _carry_out(self) -> None:
        if self.node.log.quorum is not self._quorum:
            self._quorum = self.node.log.quorum
            self._outlets.quorum_changed(self._quorum)
        if self._reads.is_asking:
            self._ask()
        ready = self.node.ready()
        for message in ready.messages:
            self._outlets.send(message)
        for coordinator_id in ready.snapshots:
            self._outlets.send_snapshot(coordinator_id, self.node.term)
        if ready.write is not None:
            assert self._writing is None, "one write at a time"
            self._writing = asyncio.create_task(self._write(ready.write), name="raft-write")
        self._applier.add(ready.committed)
        for context, index in ready.reads:
            self._reads.confirm(context, index, self.applied_index)
        if self._reads.is_asking and ready.reads:
            self._pump_soon()

    def _ask(self) -> None:
        try:
            self._reads.ask(self.node.read)
        except NotLeaderError:
            return  # nobody to ask: the reads wait for the next leader, or until they time out

    async def _write(self, write: Write) -> None:
        try:
            await self._outlets.write(write)
            self._writing = None
            for message in write.messages:
                self._outlets.send(message)
            self.node.advance(write)
            self._after_input()
        except Exception as error:  # a bug counts as a broken disk, or all would wait for ever
            self._writing = None
            self.fail(error)

    def _apply(self, entry: MetadataEntry, size: int) -> None:
        assert self._machine is not None, "it has not started"
        self._machine.commit(entry, size)
        if not self._active_term and self.node.role is Role.LEADER and entry.term == self.node.term:
            self._active_term = entry.term
            self._machine.activate(entry.term)
        self._waiters.applied(entry.index, entry.term)
        self._reads.applied(entry.index)

    def _end(self, message: str) -> None:
        self._ended = UnavailableError(message)
        self._applier.stop()
        self._waiters.fail(message)
        self._reads.fail(lambda: UnavailableError(message))
        if self._active_term:
            self._deactivate()

    # --- errors ---

    def _check_open(self) -> None:
        if self._ended is not None:
            raise UnavailableError(self._ended.message)
        if not self.is_initialized:
            raise NotInitializedError("this coordinator belongs to no cluster yet")

    def _check_active(self) -> None:
        self._check_open()
        if not self.is_active:
            raise self._not_active()

    def _not_active(self) -> NotActiveError:
        return NotActiveError("this coordinator is not the active one", active_address=self.active_address)

    def _refusal(self, error: Exception) -> StreamkeepError:
        if isinstance(error, NotLeaderError):
            return self._not_active()
        if isinstance(error, QuorumChangeError):
            return InvalidQuorumChangeError(str(error))
        if isinstance(error, TransferInProgressError):
            return UnavailableError("leadership is being handed over to another coordinator")
        return UnavailableError("too many metadata changes wait to be committed")

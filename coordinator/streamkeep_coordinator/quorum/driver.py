"""The Consensus of a coordinator: who is active, what is agreed, who waits for it. `raft_loop` runs it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

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
from streamkeep_coordinator.quorum.raft_loop import Outlets, RaftLoop
from streamkeep_coordinator.quorum.reads import Reads
from streamkeep_coordinator.quorum.waiters import CommitWaiters, ceased_to_be_active
from streamkeep_coordinator.raft import (
    NotLeaderError,
    QuorumChangeError,
    RaftError,
    RaftInvariantError,
    RaftNode,
    Role,
    TransferInProgressError,
)
from streamkeep_coordinator.storage.frame import MAX_PAYLOAD_BYTES
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, RaftMessage

_DISK_HANGS = "the disk of coordinator %d has not finished a write for an election timeout: it cannot lead so"
_DISK_ANSWERS = "the disk of coordinator %d answers again"

_logger = logging.getLogger(__name__)


class Driver:
    """`applied_index` is that of the image at the start; `tick_s` is the time between two ticks of the core.

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
        self._loop = RaftLoop(node, self, outlets, clock, tick_s=tick_s)
        self._local = local
        self._clock = clock
        self._on_failure = on_failure
        self._machine: StateMachine | None = None
        self._waiters = CommitWaiters()
        self._reads = Reads(rng)
        self._applier = Applier(clock, applied_index, on_entry=self._apply, on_failure=self.core_failed)
        self._active_term = 0
        self._leader = 0
        self._disk_hangs = False
        self._ended = ""

    @property
    def node(self) -> RaftNode:
        """To look at."""
        return self._loop.node

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
        self._request(lambda: self.node.propose(data, quorum=quorum))
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
        self._loop.pump_soon()
        try:
            async with asyncio.timeout(timeout_s):
                await read
        except TimeoutError:
            raise NoQuorumError(f"no majority of the coordinators answered for {timeout_s} s") from None

    def transfer(self, to: int = 0) -> None:
        self._check_active()
        self._request(lambda: self.node.transfer(to))

    # --- what happens ---

    def start(self, machine: StateMachine) -> None:
        """Let time run, and tell the machine what is agreed."""
        self._machine = machine
        self._loop.start()

    def found(self, node: RaftNode) -> None:
        """The directory has become that of a new cluster, with this core's log."""
        self._loop.found(node)

    def step(self, message: RaftMessage) -> None:
        """A message of another coordinator."""
        if self.is_initialized:
            self._loop.do(partial(self.node.step, message))

    def unreachable(self, coordinator_id: int) -> None:
        """The stream to a member broke."""
        self._loop.do(partial(self.node.unreachable, coordinator_id))

    def snapshot_sent(self, coordinator_id: int, *, succeeded: bool) -> None:
        """A snapshot that was asked for has arrived, or will not."""
        self._loop.do(partial(self.node.snapshot_sent, coordinator_id, succeeded=succeeded))

    def compact(self, index: int) -> None:
        """A snapshot of everything up to this index, and more, is durable: forget those entries."""
        if index > self.node.log.base_index:
            self.node.compact(index)

    def installed(self, index: int) -> None:
        """A snapshot has taken the place of everything up to this index."""
        self._applier.skip_to(index)
        self._reads.applied(index)

    async def stop(self) -> None:
        """Let a write under way end, and do nothing more."""
        self._end("the coordinator has stopped")
        await self._loop.wait_ended()

    # --- what the core says ---

    def may_tick(self) -> bool:
        """Who was removed campaigns no more, and who belongs to no cluster never did."""
        self._reads.tick()
        return self.is_initialized and not self.removed

    def core_changed(self) -> None:
        node = self.node
        if self._active_term and (node.role is not Role.LEADER or node.term != self._active_term):
            self._deactivate()
        if node.leader != self._leader:
            self._leader = node.leader
            self._reads.ask_again()
        if node.disk_hangs != self._disk_hangs:
            self._disk_hangs = node.disk_hangs
            _logger.warning(_DISK_HANGS if node.disk_hangs else _DISK_ANSWERS, self._local.id)

    def core_is_asked(self) -> None:
        if self._reads.is_asking:
            try:
                self._reads.ask(self.node.read)
            except NotLeaderError:
                return  # nobody to ask: the reads wait for the next leader, or until they time out

    def core_says(self, committed: Sequence[RaftEntry], reads: Sequence[tuple[int, int]]) -> None:
        self._applier.add(committed)
        for context, index in reads:
            self._reads.confirm(context, index, self.applied_index)
        if reads and self._reads.is_asking:
            self._loop.pump_soon()

    def core_failed(self, error: Exception) -> None:
        """Everybody who waits is told, and the process must end."""
        if self._ended:
            return
        reason = error.strerror if isinstance(error, OSError) else repr(error)
        self._end(f"the coordinator cannot go on: {reason}")
        self._on_failure(error)

    def _apply(self, entry: MetadataEntry, size: int) -> None:
        assert self._machine is not None, "it has not started"
        self._machine.commit(entry, size)
        if not self._active_term and self.node.role is Role.LEADER and entry.term == self.node.term:
            self._active_term = entry.term
            self._machine.activate(entry.term)
            _logger.info("coordinator %d is active in term %d", self._local.id, entry.term)
        self._waiters.applied(entry.index, entry.term)
        self._reads.applied(entry.index)

    def _deactivate(self) -> None:
        assert self._machine is not None, "it has not started"
        self._active_term = 0
        log = self.node.log  # what is committed and durable is applied soon; the rest may wait for the disk
        self._waiters.fail(after=min(log.committed_index, log.stable_index))
        self._machine.deactivate()
        _logger.info("coordinator %d is not active any more", self._local.id)

    def _end(self, why: str) -> None:
        if self._ended:
            return
        self._ended = why
        self._loop.end()
        self._applier.stop()
        self._waiters.fail(why)
        self._reads.fail(lambda: UnavailableError(why))
        if self._active_term:
            self._deactivate()

    # --- requests and refusals ---

    def _request(self, work: Callable[[], object]) -> None:
        """Ask something of the core that it may refuse."""
        try:
            work()
        except RaftInvariantError as error:
            self.core_failed(error)
            raise UnavailableError(self._ended) from error
        except RaftError as error:
            raise self._refusal(error) from None
        self._loop.changed()

    def _refusal(self, error: RaftError) -> StreamkeepError:
        if isinstance(error, NotLeaderError):
            return self._not_active()
        if isinstance(error, QuorumChangeError):
            return InvalidQuorumChangeError(str(error))
        if isinstance(error, TransferInProgressError):
            return UnavailableError("leadership is being handed over to another coordinator")
        return UnavailableError("too many metadata changes wait to be committed")

    def _check_active(self) -> None:
        self._check_open()
        if not self.is_active:
            raise self._not_active()

    def _check_open(self) -> None:
        if self._ended:
            raise UnavailableError(self._ended)
        if not self.is_initialized:
            raise NotInitializedError("this coordinator belongs to no cluster yet")

    def _not_active(self) -> NotActiveError:
        return NotActiveError("this coordinator is not the active one", active_address=self.active_address)

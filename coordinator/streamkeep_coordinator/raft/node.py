"""One member of the quorum as its shell sees it: time and messages in, `Ready` out. Pure.

The shell's loop: whatever happened (`tick`, `step`, `propose`, `read` ...), take `ready`, send its messages,
hand what is committed to the state machine, and begin its write; when the write is durable, send the write's
messages and call `advance`. One write is under way at a time, and everything else goes on meanwhile.

Where each rule is: who may speak and terms `admission`, elections `election`, the leader's log `replication`,
the follower's `following`, what is proposed `proposals`, the quorum `membership`, reads `reads`, handing over
`transfer`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from streamkeep_coordinator.raft import (
    election,
    following,
    proposals,
    reads,
    replication,
    transfer,
)
from streamkeep_coordinator.raft.admission import admit
from streamkeep_coordinator.raft.config import HardState, RaftConfig
from streamkeep_coordinator.raft.core import Core, MakeNoOp
from streamkeep_coordinator.raft.log import RaftLog
from streamkeep_coordinator.raft.ready import RaftStatus, Ready, Write
from streamkeep_coordinator.raft.roles import Role
from streamkeep_coordinator.raft.status import status_of
from streamkeep_proto.v1.metadata_pb2 import QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, RaftMessage

_RULES: dict[str, Callable[[Core, RaftMessage], None]] = {
    "vote_request": election.on_vote_request,
    "vote_response": election.on_vote_response,
    "append_request": following.on_append_request,
    "append_response": replication.on_append_response,
    "heartbeat": following.on_heartbeat,
    "heartbeat_response": replication.on_heartbeat_response,
    "read_request": reads.on_read_request,
    "read_response": reads.on_read_response,
    "snapshot_received": following.on_snapshot_received,
    "timeout_now": election.on_timeout_now,
}


class RaftNode:
    """`log` and `hard_state` are what the disk has. `make_no_op(index, term)` serializes the entry that
    begins a term.

    Any call may raise RaftInvariantError: then the process must stop.
    """

    def __init__(
        self,
        config: RaftConfig,
        *,
        log: RaftLog,
        hard_state: HardState,
        rng: random.Random,
        make_no_op: MakeNoOp,
    ) -> None:
        self._core = Core(config, log, hard_state, rng, make_no_op)
        self._applied_index = log.base_index
        self._hard_state = hard_state  # durable, or in the write that is under way
        self._write: Write | None = None

    # ---- what it is ----

    @property
    def role(self) -> Role:
        return self._core.role

    @property
    def term(self) -> int:
        return self._core.term

    @property
    def leader(self) -> int:
        """0 = not known."""
        return self._core.leader

    @property
    def log(self) -> RaftLog:
        """To look at."""
        return self._core.log

    @property
    def is_active(self) -> bool:
        """Leads, and has committed an entry of its own term."""
        return self._core.is_active

    @property
    def disk_hangs(self) -> bool:
        """A write has been under way for an election timeout: until it ends, this node cannot lead."""
        return self._core.disk_hangs

    def status(self) -> RaftStatus:
        return status_of(self._core)

    # ---- what happens ----

    def tick(self) -> None:
        """A tick has passed."""
        leadership = self._core.leadership
        if self._write is not None:
            self._core.write_ticks += 1
        if leadership is not None:
            replication.tick(self._core, leadership)
        else:
            reads.tick(self._core)
            election.tick(self._core)

    def step(self, message: RaftMessage) -> None:
        """A message came, perhaps late, again, or meant for somebody else."""
        kind = message.WhichOneof("body")
        if kind is not None and admit(self._core, message, kind):
            _RULES[kind](self._core, message)

    def unreachable(self, peer: int) -> None:
        """The stream to it broke: what was sent may be lost."""
        leadership = self._core.leadership
        if leadership is not None and peer in leadership.progress:
            leadership.progress[peer].lost_stream()

    def snapshot_sent(self, peer: int, *, succeeded: bool) -> None:
        """It is installed there, or it failed. Every peer in `Ready.snapshots` must be answered for."""
        leadership = self._core.leadership
        if leadership is not None and peer in leadership.progress:
            leadership.progress[peer].snapshot_sent(self.log.base_index, succeeded=succeeded)

    # ---- what it is asked ----

    def propose(self, data: bytes, *, quorum: QuorumRecord | None = None) -> RaftEntry:
        """Put an entry at the end of the log: its index is `log.last_index + 1`, its term `term`. It is
        committed later, or lost with this leadership. `quorum` is a copy of the QuorumRecord in `data`, in
        effect at once.

        NotLeaderError, TransferInProgressError, TooMuchUncommittedError; QuorumChangeError for the quorum.
        """
        return proposals.propose(self._core, data, quorum)

    def read(self, context: int) -> None:
        """Ask from which index on a read is linearizable; `Ready.reads` answers, or nobody does: the caller
        has a timeout and asks again, with another context. NotLeaderError if no leader is known.
        """
        reads.read(self._core, context)

    def transfer(self, to: int) -> None:
        """Hand leadership to that voter; 0 = the one with most of the log. Given up after an election
        timeout.

        NotLeaderError; QuorumChangeError if it is no other voter.
        """
        transfer.begin(self._core, to)

    def compact(self, index: int) -> None:
        """Forget the entries up to `index`: a snapshot that has them is durable, and they were applied."""
        assert index <= max(self._applied_index, self.log.base_index)
        self.log.compact(index)

    # ---- what it asks ----

    def ready(self) -> Ready:
        core = self._core
        if core.leadership is not None:
            replication.fill(core, core.leadership)
        write = self._next_write()
        ready = Ready(
            messages=core.messages,
            write=write,
            committed=self._next_committed(),
            reads=core.reads,
            snapshots=core.snapshots,
        )
        core.messages, core.reads, core.snapshots = [], [], []
        return ready

    def advance(self, write: Write) -> None:
        """That write is durable now."""
        assert write is self._write
        self._write = None
        core = self._core
        core.write_ticks = 0
        if write.entries:
            core.log.written(write.entries[-1].index)
        hard_state = write.hard_state
        if core.role is Role.CANDIDATE and hard_state is not None and hard_state.term == core.term:
            election.own_vote_is_durable(core)
        elif core.leadership is not None:
            replication.commit(core, core.leadership)

    def _next_write(self) -> Write | None:
        """Everything that is not written yet, with all that was promised meanwhile. If nothing is, the
        promises are kept already.
        """
        if self._write is not None:
            return None
        core, log = self._core, self.log
        hard_state = HardState(core.term, core.vote, log.committed_index)
        has_entries = log.written_index < log.last_index or log.truncate_from or log.restored
        if hard_state[:2] == self._hard_state[:2] and not has_entries:
            core.messages += core.promises
            core.promises = []
            return None
        self._write = Write(
            hard_state=hard_state if hard_state != self._hard_state else None,
            snapshot=log.restored,
            truncate_from=log.truncate_from,
            entries=log.unwritten(),
            messages=core.promises,
        )
        self._hard_state = hard_state
        core.promises, log.restored, log.truncate_from = [], None, 0
        return self._write

    def _next_committed(self) -> list[RaftEntry]:
        log = self.log
        first = max(self._applied_index, log.base_index) + 1
        last = min(log.committed_index, log.stable_index)
        if last < first:
            return []
        self._applied_index = last
        return log.slice(first, last)

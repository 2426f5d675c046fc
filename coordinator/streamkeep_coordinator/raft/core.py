"""The state of one node that all rules share, and the few moves that keep it consistent.

The rules themselves are functions over it, a file a theme. Role changes go through `change_role`, terms
through `begin_term` and `campaign_term`, messages through `send` (now) or `promise` (once what they say is
durable).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from streamkeep_coordinator.raft.config import HardState, RaftConfig
from streamkeep_coordinator.raft.errors import RaftInvariantError
from streamkeep_coordinator.raft.leadership import Leadership
from streamkeep_coordinator.raft.log import RaftLog
from streamkeep_coordinator.raft.membership import Members
from streamkeep_coordinator.raft.progress import Progress
from streamkeep_coordinator.raft.roles import Event, Role, next_role
from streamkeep_proto.v1.raft_pb2 import RaftMessage

MakeNoOp = Callable[[int, int], bytes]


class Core:
    """See above. `leadership` is set exactly while the role is LEADER."""

    def __init__(
        self,
        config: RaftConfig,
        log: RaftLog,
        hard_state: HardState,
        rng: random.Random,
        make_no_op: MakeNoOp,
    ) -> None:
        self.config = config
        self.id = config.coordinator_id
        self.log = log
        self.make_no_op = make_no_op
        self._rng = rng
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.role = Role.FOLLOWER
        self.leader = 0
        self.leader_directory_id = b""
        self.leadership: Leadership | None = None
        self.members = Members(log.quorum)
        self.ballots: dict[int, bool] = {}
        self.forwarded_reads: dict[int, int] = {}
        """Contexts of the reads that the leader was asked about, and how many ticks ago."""
        self.quiet_ticks = 0
        """Since the leader was heard, a vote was given, or a campaign began."""
        self.timeout_ticks = 0
        self.write_ticks = 0
        """How long the write under way has been; 0 = there is none, or it has just begun."""
        self.messages: list[RaftMessage] = []
        self.promises: list[RaftMessage] = []
        self.reads: list[tuple[int, int]] = []
        self.snapshots: list[int] = []
        if hard_state.term < log.last_term:
            raise RaftInvariantError(
                f"the log has term {log.last_term}, the hard state term {hard_state.term}"
            )
        log.commit_to(hard_state.committed_index)
        self.reset_timer()

    # ---- who is who ----

    @property
    def is_voter(self) -> bool:
        """A voter of the quorum in effect, under this directory id. Whoever is none does not count its own
        vote or log.
        """
        return self.members.is_voter(self.id, self.config.directory_id)

    @property
    def may_campaign(self) -> bool:
        """A voter, or one whose removal is not known to be committed: the voters that it leaves behind may
        lack entries that only it has, that removal among them (thesis 4.2.2). Never a learner, nor an empty
        directory, nor while the disk hangs.
        """
        if self.disk_hangs:
            return False
        return self.is_voter or Members(self.log.committed_quorum).is_voter(self.id, self.config.directory_id)

    @property
    def disk_hangs(self) -> bool:
        """A write has been under way for the shortest election timeout: it may never end, nor ever fail."""
        return self.write_ticks >= self.config.election_ticks

    @property
    def is_active(self) -> bool:
        """Leads, and has committed an entry of its own term (thesis 6.4, and the fix of 2015 to 4.1)."""
        return self.leadership is not None and self.log.committed_index >= self.leadership.no_op_index

    def hears(self, member: int) -> bool:
        """As its leader: that member has answered within an election timeout. Itself it hears while it votes
        (6.2).
        """
        if self.leadership is None or member == self.id:
            return self.leadership is not None and self.is_voter
        silent_ticks = self.leadership.tick - self.leadership.progress[member].heard_tick
        return silent_ticks < self.config.election_ticks

    def refresh_members(self) -> None:
        """The log's newest quorum is another one: it is in effect at once (thesis 4.1)."""
        self.members = Members(self.log.quorum)
        if self.leadership is not None:
            self._refresh_progress(self.leadership)

    def _refresh_progress(self, leadership: Leadership) -> None:
        for peer, known in list(leadership.progress.items()):
            if not self.members.lists(peer, known.directory_id):
                del leadership.progress[peer]
        for peer, member in self.members.by_id.items():
            if peer != self.id and peer not in leadership.progress:
                leadership.progress[peer] = Progress(
                    member.directory_id, self.log.last_index + 1, leadership.tick
                )

    # ---- terms and roles ----

    def change_role(self, event: Event) -> None:
        self.role = next_role(self.role, event)
        self.leadership = None
        self.ballots = {}
        self.reset_timer()

    def begin_term(self, term: int) -> None:
        """Somebody else is in a newer term (thesis 3.3). Who leads it is not known yet."""
        assert term > self.term
        self.term = term
        self.vote = 0
        self.lose_leader()
        self.change_role(Event.NEWER_TERM)

    def campaign_term(self) -> None:
        """A term of this node's own campaign, with its own vote in it."""
        self.term += 1
        self.vote = self.id
        self.lose_leader()

    def follow(self, message: RaftMessage) -> None:
        """The message is the leader's of this term. To follow it is to have given it this term's vote."""
        if self.role is not Role.FOLLOWER or self.leader == 0:
            self.change_role(Event.LEADER_SEEN)
        if self.leader not in (0, message.sender):
            raise RaftInvariantError(f"{self.leader} and {message.sender} both lead term {self.term}")
        self.leader = message.sender
        self.leader_directory_id = message.sender_directory_id
        self.vote = self.vote or message.sender
        self.quiet_ticks = 0

    def lose_leader(self) -> None:
        self.leader = 0
        self.leader_directory_id = b""
        self.forwarded_reads.clear()

    def reset_timer(self) -> None:
        self.quiet_ticks = 0
        ticks = self.config.election_ticks
        self.timeout_ticks = self._rng.randrange(ticks, 2 * ticks)

    # ---- messages ----

    def send(self, to: int, directory_id: bytes, *, term: int | None = None, **body: Any) -> RaftMessage:
        """A message that promises nothing. The term is this node's, if no other is given."""
        message = self._message(to, directory_id, term, body)
        self.messages.append(message)
        return message

    def promise(self, to: int, directory_id: bytes, **body: Any) -> None:
        """A message that may leave when all that this node knows now is durable (thesis 3.8)."""
        self.promises.append(self._message(to, directory_id, None, body))

    def answer(self, request: RaftMessage, *, term: int | None = None, **body: Any) -> None:
        """Back to where it came from; promises nothing."""
        self.send(request.sender, request.sender_directory_id, term=term, **body)

    def promise_answer(self, request: RaftMessage, **body: Any) -> None:
        self.promise(request.sender, request.sender_directory_id, **body)

    def _message(self, to: int, directory_id: bytes, term: int | None, body: dict[str, Any]) -> RaftMessage:
        return RaftMessage(
            sender=self.id,
            sender_directory_id=self.config.directory_id,
            receiver=to,
            receiver_directory_id=directory_id,
            term=self.term if term is None else term,
            **body,
        )

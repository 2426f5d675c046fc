"""Some RaftNodes, disks that keep only what was written, and a network that does what it likes. Pure: a seed
is a run.

A step is a tick of most nodes, the messages that are due, and one thing that may happen: a crash with a write
half done, an emptied disk that comes back as somebody else, a cut in one direction, a change of the quorum, a
snapshot, a transfer, a proposal, a read. After each move of a node what it holds is judged by `Judge`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from streamkeep_coordinator.raft import (
    HardState,
    NotLeaderError,
    QuorumChangeError,
    RaftNode,
    Role,
    TooMuchUncommittedError,
    TransferInProgressError,
)
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, RaftMessage
from tests.property.raft_chaos.disk import Disk, directory
from tests.property.raft_chaos.happenings import restart, something_happens
from tests.property.raft_chaos.judge import Judge
from tests.property.raft_chaos.member import Member
from tests.property.raft_chaos.quorum_upkeep import keep_up_the_quorum, quorum_of

REFUSALS = (NotLeaderError, QuorumChangeError, TooMuchUncommittedError, TransferInProgressError)


class World:
    """`voters` members at the beginning; the chaos lasts until `heal`."""

    def __init__(self, seed: int, voters: int) -> None:
        self.rng = random.Random(seed)
        self.judge = Judge()
        self.now = 0
        self.lives = 0
        self.contexts = 0
        self.is_healed = False
        self.losses = self.rng.choice((0.0, 0.02, 0.15))
        self.delays = self.rng.choice(((1,), (1, 1, 2), (1, 2, 3, 8)))
        self.flushes = self.rng.choice(((0,), (0, 0, 1, 4), (2, 5, 8)))
        self.cuts: set[tuple[int, int]] = set()
        self.mail: dict[int, list[bytes]] = {}
        self.ids = range(1, voters + 1)
        quorum = QuorumRecord(cluster_epoch=1, members=[self._member(each, 0) for each in self.ids])
        birth = RaftEntry(index=1, term=1, data=b"birth", quorum=quorum)
        self.members: dict[int, Member] = {}
        for each in self.ids:
            entries = [birth] if each == 1 or self.rng.random() < 0.5 else []
            disk = Disk(directory(each, 0), HardState(len(entries), 0, 0), entries=entries)
            self.members[each] = Member(self, each, disk)

    def running(self) -> list[RaftNode]:
        return [each.node for each in self.members.values() if each.node is not None]

    def leaders(self) -> list[tuple[Member, RaftNode]]:
        return [
            (each, each.node)
            for each in self.members.values()
            if each.node is not None and each.node.role is Role.LEADER
        ]

    def is_whole(self) -> bool:
        """The newest leader's quorum is committed, and has every member as a voter with the directory it has
        now.
        """
        leaders = sorted((node for _, node in self.leaders()), key=lambda node: node.term)
        if not leaders or not leaders[-1].is_active:
            return False
        log, quorum = leaders[-1].log, quorum_of(leaders[-1])
        voters = {(each.coordinator_id, each.directory_id) for each in quorum.members if each.voter}
        everyone = {(each.id, each.disk.directory_id) for each in self.members.values()}
        return log.quorum_index <= log.committed_index and voters == everyone

    # ---- the network ----

    def send(self, messages: list[RaftMessage]) -> None:
        for message in messages:
            if (message.sender, message.receiver) in self.cuts or self.rng.random() < self.losses:
                continue
            data = message.SerializeToString()
            self._mail(data)
            if not self.is_healed and self.rng.random() < 0.05:
                self._mail(data)

    def send_snapshot(self, sender: Member, node: RaftNode, peer: int) -> None:
        """Its arrival is a message of the receiver's own process; the report comes back at once, or not at
        all.
        """
        self.judge.seen["snapshot sent"] += 1
        arrives = (sender.id, peer) not in self.cuts and self.rng.random() >= self.losses
        receiver = next(each for each in quorum_of(node).members if each.coordinator_id == peer)
        if arrives:
            message = RaftMessage(
                sender=sender.id,
                sender_directory_id=sender.disk.directory_id,
                receiver=peer,
                receiver_directory_id=receiver.directory_id,
                term=node.term,
                snapshot_received=sender.disk.snapshot,
            )
            self._mail(message.SerializeToString())
        node.snapshot_sent(peer, succeeded=arrives)

    def _mail(self, data: bytes) -> None:
        self.mail.setdefault(self.now + self.rng.choice(self.delays), []).append(data)

    # ---- time ----

    def step(self) -> None:
        self.now += 1
        if not self.is_healed:
            something_happens(self)
        for member in list(self.members.values()):
            if member.node is not None and member.paused_until <= self.now:
                if member.writing is not None and member.write_is_due <= self.now:
                    member.finish_write(member.node)
                if self.rng.random() < member.pace:
                    member.node.tick()
                member.settle()
        mail = self.mail.pop(self.now, [])
        if not self.is_healed:
            self.rng.shuffle(mail)
        for data in mail:
            self._deliver(RaftMessage.FromString(data))
        keep_up_the_quorum(self)

    def _deliver(self, message: RaftMessage) -> None:
        member = self.members[message.receiver]
        if member.node is None:
            return
        if member.paused_until > self.now:
            self.mail.setdefault(member.paused_until, []).append(message.SerializeToString())
            return
        member.node.step(message)
        member.settle()

    # ---- what is asked of a node ----

    def read(self, member: Member) -> None:
        self.contexts += 1
        member.reads[self.contexts] = self.judge.committed_index
        self.attempt(member, lambda node: node.read(self.contexts), "read asked")

    def propose(self) -> None:
        for leader, _ in self.leaders():
            self._propose(leader, b"%d" % self.rng.getrandbits(64) * self.rng.randint(1, 8))

    def _propose(self, leader: Member, data: bytes) -> None:
        self.attempt(leader, lambda node: node.propose(data), "proposal")

    def propose_quorum(self, leader: Member, members: list[QuorumMember]) -> None:
        ordered = sorted(members, key=lambda each: each.coordinator_id)
        quorum = QuorumRecord(cluster_epoch=1, members=ordered)
        data = b"quorum %d" % self.rng.getrandbits(64)
        self.attempt(leader, lambda node: node.propose(data, quorum=quorum), "quorum change")

    def attempt(self, member: Member, what: Callable[[RaftNode], object], name: str) -> None:
        if member.node is None or member.paused_until > self.now:
            return
        try:
            what(member.node)
            self.judge.seen[name] += 1
        except REFUSALS as refusal:
            self.judge.seen[type(refusal).__name__] += 1
        member.settle()

    # ---- afterwards ----

    def heal(self) -> None:
        """Everybody runs and hears everybody; disks work at once."""
        self.is_healed = True
        self.losses, self.delays, self.flushes = 0.0, (1,), (0,)
        self.cuts.clear()
        for member in self.members.values():
            member.paused_until, member.pace = 0, 1.0
            restart(self, member)

    def is_well(self) -> bool:
        """There is an active leader, everybody is a voter again, and has all that is committed."""
        return self.is_whole() and all(
            node.log.committed_index == self.judge.committed_index for node in self.running()
        )

    @staticmethod
    def _member(coordinator_id: int, life: int) -> QuorumMember:
        return QuorumMember(
            coordinator_id=coordinator_id, directory_id=directory(coordinator_id, life), voter=True
        )

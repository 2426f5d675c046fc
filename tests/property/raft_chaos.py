"""Some RaftNodes, disks that keep only what was written, and a network that does what it likes. Pure: a seed
is a run.

A step is a tick of most nodes, the messages that are due, and one thing that may happen: a crash with a write
half done, an emptied disk that comes back as somebody else, a cut in one direction, a change of the quorum, a
snapshot, a transfer, a proposal, a read. After each move of a node what it holds is judged by `Judge`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from streamkeep_coordinator.raft import (
    HardState,
    NotLeaderError,
    ProgressState,
    QuorumChangeError,
    RaftConfig,
    RaftLog,
    RaftNode,
    Ready,
    Role,
    TooMuchUncommittedError,
    TransferInProgressError,
    Write,
)
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, RaftMessage, SnapshotReceived

ELECTION_TICKS = 6
UNWRITTEN = HardState(0, 0, 0)
REFUSALS = (NotLeaderError, QuorumChangeError, TooMuchUncommittedError, TransferInProgressError)


def directory(coordinator_id: int, life: int) -> bytes:
    return f"{coordinator_id}/{life}".encode().ljust(16, b".")


@dataclass
class Disk:
    """What is durable."""

    directory_id: bytes
    hard_state: HardState = UNWRITTEN
    snapshot: SnapshotReceived = field(default_factory=SnapshotReceived)
    entries: list[RaftEntry] = field(default_factory=list)

    @property
    def last_index(self) -> int:
        return self.snapshot.index + len(self.entries)

    def do(self, write: Write, entries: int) -> None:
        """All of it, or with fewer entries, as a crash leaves it."""
        if write.snapshot is not None:
            self.snapshot, self.entries = write.snapshot, []
        if write.truncate_from:
            del self.entries[max(0, write.truncate_from - self.snapshot.index - 1) :]
        if write.hard_state is not None:
            hint = min(write.hard_state.committed_index, self.last_index + entries)
            self.hard_state = write.hard_state._replace(committed_index=hint)
        for entry in write.entries[:entries]:
            assert entry.index == self.last_index + 1
            self.entries.append(entry)

    def keep_snapshot(self, snapshot: SnapshotReceived) -> None:
        del self.entries[: snapshot.index - self.snapshot.index]
        self.snapshot = snapshot


class Judge:
    """What all nodes together have shown. Each method asserts a promise."""

    def __init__(self) -> None:
        self.leaders: dict[int, tuple[int, bytes]] = {}
        self.written: dict[tuple[int, int], tuple[bytes, int]] = {}
        self.committed: list[tuple[int, bytes]] = [(0, b"")]
        self.seen: Counter[str] = Counter()

    @property
    def committed_index(self) -> int:
        return len(self.committed) - 1

    def entry_appended(self, entry: RaftEntry, previous_term: int) -> None:
        """Log matching: index and term say what the entry is, and what is before it."""
        found = self.written.setdefault((entry.index, entry.term), (entry.data, previous_term))
        assert found == (entry.data, previous_term), f"two entries {entry.index} of term {entry.term}"

    def leads(self, node: RaftNode, identity: tuple[int, bytes]) -> None:
        """One leader a term, and it has all that is committed."""
        if self.leaders.setdefault(node.term, identity) != identity:
            raise AssertionError(f"two leaders of term {node.term}: {self.leaders[node.term]} {identity}")
        for index in range(node.log.base_index + 1, self.committed_index + 1):
            assert node.log.term_at(index) == self.committed[index][0], f"the leader lacks entry {index}"

    def commits(self, entry: RaftEntry, nodes: list[RaftNode]) -> None:
        """Never anything else, and no leader of a newer term is without it."""
        if entry.index <= self.committed_index:
            assert self.committed[entry.index] == (entry.term, entry.data), f"{entry.index} is another now"
            return
        assert entry.index == self.committed_index + 1
        self.committed.append((entry.term, entry.data))
        for node in nodes:
            if node.role is Role.LEADER and node.term >= entry.term and entry.index > node.log.base_index:
                assert node.log.term_at(entry.index) == entry.term, f"the leader lacks entry {entry.index}"


class Member:
    """One coordinator: its disk, its process if it runs, and the write that is under way."""

    def __init__(self, world: World, coordinator_id: int, disk: Disk) -> None:
        self.world = world
        self.id = coordinator_id
        self.disk = disk
        self.node: RaftNode | None = None
        self.writing: Write | None = None
        self.write_is_due = 0
        self.applied = 0
        self.quorum: QuorumRecord | None = None
        self.checked = 0
        self.led_term = 0
        self.reads: dict[int, int] = {}
        self.paused_until = 0
        self.pace = 1.0
        self.start()

    def start(self) -> None:
        snapshot = self.disk.snapshot
        quorum = snapshot.quorum if snapshot.HasField("quorum") else None
        log = RaftLog(
            snapshot.index,
            snapshot.last_term,
            quorum,
            self.disk.entries,
            self.disk.hard_state.committed_index,
        )
        config = RaftConfig(
            coordinator_id=self.id,
            directory_id=self.disk.directory_id,
            election_ticks=ELECTION_TICKS,
            heartbeat_ticks=2,
            max_append_bytes=150,
            max_inflight_appends=3,
            max_uncommitted_bytes=1500,
        )
        rng = random.Random(self.world.rng.random())
        self.node = RaftNode(
            config,
            log=log,
            hard_state=self.disk.hard_state,
            rng=rng,
            make_no_op=lambda index, term: b"no-op %d" % term,
        )
        self.applied, self.quorum, self.checked = snapshot.index, quorum, snapshot.index

    def crash(self) -> None:
        """A write that is under way is done in part, in whole, or not at all; nobody heard of it."""
        if self.writing is not None and self.world.rng.random() < 0.5:
            self.disk.do(self.writing, self.world.rng.randint(0, len(self.writing.entries)))
        self.node = self.writing = None
        self.reads.clear()

    def settle(self) -> None:
        """After each move: hand on what the node asks for, and judge it."""
        node = self.node
        assert node is not None
        ready = node.ready()
        self._judge(node, ready)
        self.world.send(ready.messages)
        if ready.write is not None:
            self.writing = ready.write
            self.write_is_due = self.world.now + self.world.rng.choice(self.world.flushes)
        for entry in ready.committed:
            self._apply(entry)
        for context, index in ready.reads:
            self.world.judge.seen["read"] += 1
            assert index >= self.reads.pop(context, 0), "a stale read"
        for peer in ready.snapshots:
            self.world.send_snapshot(self, node, peer)
        if self.writing is not None and self.write_is_due <= self.world.now:
            self.finish_write(node)

    def finish_write(self, node: RaftNode) -> None:
        write, self.writing = self.writing, None
        assert write is not None
        self.disk.do(write, len(write.entries))
        if write.snapshot is not None:
            self.world.judge.seen["snapshot"] += 1
            self.applied = write.snapshot.index
            self.quorum = write.snapshot.quorum
        self.world.judge.seen["truncation"] += write.truncate_from > 0
        self.world.send(write.messages)
        node.advance(write)
        self.settle()

    def _judge(self, node: RaftNode, ready: Ready) -> None:
        judge = self.world.judge
        if ready.write is not None:
            first = ready.write.entries[0].index if ready.write.entries else 0
            previous = node.log.term_at(first - 1) if first else 0
            for entry in ready.write.entries:
                assert previous is not None
                judge.entry_appended(entry, previous)
                previous = entry.term
        if node.role is Role.LEADER and node.term > self.led_term:
            self.led_term = node.term
            judge.seen["leader"] += 1
            judge.leads(node, (self.id, self.disk.directory_id))
        assert node.log.committed_index >= self.checked, "the commit index went back"
        for index in range(max(self.checked, node.log.base_index) + 1, node.log.committed_index + 1):
            judge.commits(node.log.entry(index), self.world.running())
        self.checked = node.log.committed_index

    def _apply(self, entry: RaftEntry) -> None:
        assert entry.index == self.applied + 1, "applied out of order"
        assert entry.index <= self.disk.last_index, "applied before it is durable"
        on_disk = self.disk.entries[entry.index - self.disk.snapshot.index - 1]
        assert on_disk.term == entry.term
        self.applied = entry.index
        if entry.HasField("quorum"):
            self.quorum = entry.quorum

    def take_snapshot(self) -> None:
        node = self.node
        assert node is not None
        term = node.log.term_at(self.applied)
        if self.writing is None and term and self.applied > self.disk.snapshot.index:
            snapshot = SnapshotReceived(index=self.applied, last_term=term, quorum=self.quorum)
            self.disk.keep_snapshot(snapshot)
            node.compact(max(node.log.base_index, self.applied - self.world.rng.randint(0, 3)))


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
        receiver = next(each for each in node.log.quorum.members if each.coordinator_id == peer)
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
            self._something_happens()
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
        self._manage_quorum()

    def _deliver(self, message: RaftMessage) -> None:
        member = self.members[message.receiver]
        if member.node is None:
            return
        if member.paused_until > self.now:
            self.mail.setdefault(member.paused_until, []).append(message.SerializeToString())
            return
        member.node.step(message)
        member.settle()

    def _something_happens(self) -> None:
        chance = self.rng.random()
        member = self.members[self.rng.choice(self.ids)]
        happenings = (
            (0.04, self._stop),
            (0.03, self._cut),
            (0.04, self._isolate),
            (0.02, self._mend),
            (0.02, self._pause),
            (0.02, self._pace),
            (0.02, self._strand),
            (0.015, self._wipe),
            (0.04, self._leave),
            (0.02, self._transfer),
            (0.05, self._snapshot),
            (0.05, self._unreachable),
            (0.15, self.read),
            (0.39, self.propose),
        )
        for share, happening in happenings:
            if chance < share:
                happening(member)
                return
            chance -= share
        self._restart(member)

    def _stop(self, member: Member) -> None:
        """Rather a leader whose write is under way."""
        writing = [each for each in self._leaders() if each.writing is not None]
        member = self.rng.choice([*writing, member])
        if member.node is not None and sum(each.node is None for each in self.members.values()) < 2:
            self.judge.seen["crash"] += 1
            member.crash()

    def _restart(self, member: Member) -> None:
        if member.node is None:
            member.start()

    def _cut(self, member: Member) -> None:
        self.cuts.add((member.id, self.rng.choice(self.ids)))

    def _isolate(self, member: Member) -> None:
        self.cuts |= {(member.id, each) for each in self.ids}
        if self.rng.random() < 0.5:
            self.cuts |= {(each, member.id) for each in self.ids}

    def _mend(self, member: Member) -> None:
        self.cuts.clear()

    def _strand(self, member: Member) -> None:
        """A leader is cut off, and slow to notice."""
        for leader in self._leaders():
            self._isolate(leader)
            leader.pace = 0.1

    def _pace(self, member: Member) -> None:
        """Its clock is slow, or right again."""
        member.pace = self.rng.choice((0.2, 0.9, 1.0))

    def _pause(self, member: Member) -> None:
        member.paused_until = self.now + self.rng.randint(1, 3 * ELECTION_TICKS)

    def _wipe(self, member: Member) -> None:
        """Only while all that were ever promised anything still have it."""
        if self._is_whole():
            self.judge.seen["wipe"] += 1
            self.lives += 1
            member.crash()
            member.disk = Disk(directory(member.id, self.lives))
            member.led_term = 0
            member.start()

    def _leave(self, member: Member) -> None:
        """A leader gives up a voter, sometimes itself. With a disk lost as well nobody could promise to go
        on.
        """
        for leader in self._leaders() if self._is_whole() else ():
            quorum = leader.node.log.quorum if leader.node else None
            voters = [each for each in quorum.members if each.voter] if quorum else []
            if quorum is not None and len(voters) > 1:
                keep = [each for each in quorum.members if each.coordinator_id != member.id]
                self._propose_quorum(leader, keep)

    def _transfer(self, member: Member) -> None:
        for leader in self._leaders():
            self._attempt(leader, lambda node: node.transfer(self.rng.choice((0, member.id))), "transfer")

    def _snapshot(self, member: Member) -> None:
        if member.node is not None:
            member.take_snapshot()

    def _unreachable(self, member: Member) -> None:
        for leader in self._leaders():
            self._attempt(leader, lambda node: node.unreachable(member.id), "unreachable")

    def read(self, member: Member) -> None:
        self.contexts += 1
        member.reads[self.contexts] = self.judge.committed_index
        self._attempt(member, lambda node: node.read(self.contexts), "read asked")

    def propose(self, member: Member) -> None:
        for leader in self._leaders():
            data = b"%d" % self.rng.getrandbits(64) * self.rng.randint(1, 8)
            self._attempt(leader, lambda node, data=data: node.propose(data), "proposal")

    def _attempt(self, member: Member, what: Callable[[RaftNode], object], name: str) -> None:
        if member.node is None or member.paused_until > self.now:
            return
        try:
            what(member.node)
            self.judge.seen[name] += 1
        except REFUSALS as refusal:
            self.judge.seen[type(refusal).__name__] += 1
        member.settle()

    # ---- the quorum, as the shell of the active coordinator manages it ----

    def _manage_quorum(self) -> None:
        for leader in self._leaders():
            if leader.node.is_active and self.rng.random() < 0.3:
                self._improve(leader, leader.node)

    def _improve(self, leader: Member, node: RaftNode) -> None:
        status = node.status()
        quorum = node.log.quorum
        listed = {each.coordinator_id: each for each in quorum.members}
        for each in self.ids:
            directory_id = self.members[each].disk.directory_id
            others = [member for member in quorum.members if member.coordinator_id != each]
            new = QuorumMember(coordinator_id=each, directory_id=directory_id)
            if each not in listed:
                return self._propose_quorum(leader, [*others, new])
            if listed[each].directory_id != directory_id:
                return self._propose_quorum(leader, others)
            progress = next(one for one in status.members if one.coordinator_id == each)
            is_near = progress.state is ProgressState.REPLICATE and progress.lag < 3 and each != leader.id
            if not progress.voter and is_near:
                new.voter = True
                return self._propose_quorum(leader, [*others, new])
        return None

    def _propose_quorum(self, leader: Member, members: list[QuorumMember]) -> None:
        ordered = sorted(members, key=lambda each: each.coordinator_id)
        quorum = QuorumRecord(cluster_epoch=1, members=ordered)
        data = b"quorum %d" % self.rng.getrandbits(64)
        self._attempt(leader, lambda node: node.propose(data, quorum=quorum), "quorum change")

    def _leaders(self) -> list[Member]:
        return [each for each in self.members.values() if each.node and each.node.role is Role.LEADER]

    def _is_whole(self) -> bool:
        """The newest leader's quorum is committed, and has every member as a voter with the directory it has
        now.
        """
        leaders = sorted(self._leaders(), key=lambda each: each.node.term)
        if not leaders or not leaders[-1].node.is_active:
            return False
        log = leaders[-1].node.log
        voters = {(each.coordinator_id, each.directory_id) for each in log.quorum.members if each.voter}
        everyone = {(each.id, each.disk.directory_id) for each in self.members.values()}
        return log.quorum_index <= log.committed_index and voters == everyone

    # ---- afterwards ----

    def heal(self) -> None:
        """Everybody runs and hears everybody; disks work at once."""
        self.is_healed = True
        self.losses, self.delays, self.flushes = 0.0, (1,), (0,)
        self.cuts.clear()
        for member in self.members.values():
            member.paused_until, member.pace = 0, 1.0
            self._restart(member)

    def is_well(self) -> bool:
        """There is an active leader, everybody is a voter again, and has all that is committed."""
        return self._is_whole() and all(
            node.log.committed_index == self.judge.committed_index for node in self.running()
        )

    @staticmethod
    def _member(coordinator_id: int, life: int) -> QuorumMember:
        return QuorumMember(
            coordinator_id=coordinator_id, directory_id=directory(coordinator_id, life), voter=True
        )

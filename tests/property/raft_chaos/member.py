"""One coordinator of the chaos; after each move of its node it is judged."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from streamkeep_coordinator.raft import RaftConfig, RaftLog, RaftNode, Ready, Role, Write
from streamkeep_proto.v1.metadata_pb2 import QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, SnapshotReceived
from tests.property.raft_chaos.disk import Disk

if TYPE_CHECKING:
    from tests.property.raft_chaos.world import World

ELECTION_TICKS = 6


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

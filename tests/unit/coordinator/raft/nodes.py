"""RaftNodes for tests of single rules, and the messages they get."""

from __future__ import annotations

import random
from typing import Any

from streamkeep_coordinator.raft import HardState, RaftConfig, RaftLog, RaftNode, Ready
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, RaftMessage


def directory(coordinator_id: int) -> bytes:
    return bytes([coordinator_id]) * 16


def quorum_of(*voters: int, learners: tuple[int, ...] = (), epoch: int = 1) -> QuorumRecord:
    members = [
        QuorumMember(coordinator_id=each, directory_id=directory(each), voter=each in voters)
        for each in sorted((*voters, *learners))
    ]
    return QuorumRecord(cluster_epoch=epoch, members=members)


def entries_of(*terms: int, quorum: QuorumRecord) -> list[RaftEntry]:
    """Entries from 1 on; the first holds the quorum."""
    return [
        RaftEntry(index=index, term=term, data=b"%d" % index, quorum=quorum if index == 1 else None)
        for index, term in enumerate(terms, start=1)
    ]


def make_node(
    number: int = 1, *, quorum: QuorumRecord | None = None, terms: tuple[int, ...] = (1,), **limits: int
) -> RaftNode:
    quorum = quorum or quorum_of(1, 2, 3)
    return RaftNode(
        RaftConfig(coordinator_id=number, directory_id=directory(number), **limits),
        log=RaftLog(entries=entries_of(*terms, quorum=quorum)),
        hard_state=HardState(terms[-1], 0, 0),
        rng=random.Random(number),
        make_no_op=lambda index, term: b"no-op",
    )


def make_leader(*, quorum: QuorumRecord | None = None, **limits: int) -> RaftNode:
    """Node 1, elected by the others in term 2, its no-op at 2 committed."""
    node = make_node(quorum=quorum, **limits)
    while not drain(node).messages:
        node.tick()
    others = [
        each.coordinator_id for each in node.log.quorum.members if each.voter and each.coordinator_id != 1
    ]
    for other in others:
        node.step(message(other, 2, vote_response={"pre_vote": True, "granted": True}))
    drain(node)
    for other in others:
        node.step(message(other, 2, vote_response={"granted": True}))
    drain(node)
    for other in others:
        node.step(message(other, 2, append_response={"index": 2}))
    drain(node)
    return node


def message(sender: int, term: int, *, to: int = 1, **body: Any) -> RaftMessage:
    return RaftMessage(
        sender=sender,
        sender_directory_id=directory(sender),
        receiver=to,
        receiver_directory_id=directory(to),
        term=term,
        **body,
    )


def drain(node: RaftNode) -> Ready:
    """All that it asks for until it is quiet; its writes are done at once, and what they promise is sent."""
    total = Ready()
    while ready := node.ready():
        total.messages += ready.messages
        total.committed += ready.committed
        total.reads += ready.reads
        total.snapshots += ready.snapshots
        if ready.write is not None:
            total.messages += ready.write.messages
            node.advance(ready.write)
    return total

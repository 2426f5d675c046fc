"""Linearizable reads without the log (thesis 6.4): ReadIndex, asked of the leader by anybody.

The index is the leader's commit index when a round of heartbeats begins, and counts once a majority has
answered that round or a later one; all reads that came before the round began share it. A leader that has not
committed an entry of its term yet does not know what is committed, so reads wait. Rounds belong to one term:
an answer from an earlier one does not reach here. A read that gets no answer in time is the asker's to
repeat.
"""

from __future__ import annotations

from streamkeep_coordinator.raft.core import Core
from streamkeep_coordinator.raft.errors import NotLeaderError
from streamkeep_coordinator.raft.leadership import Leadership, ReadBatch, Reader
from streamkeep_coordinator.raft.majority import reached_by_majority
from streamkeep_proto.v1.raft_pb2 import RaftMessage, ReadRequest, ReadResponse


def read(core: Core, context: int) -> None:
    if core.leadership is not None:
        core.leadership.waiting_reads.append(Reader(core.id, core.config.directory_id, context))
    elif core.leader:
        core.forwarded_reads[context] = 0
        core.send(core.leader, core.leader_directory_id, read_request=ReadRequest(context=context))
    else:
        raise NotLeaderError("no leader is known")


def tick(core: Core) -> None:
    """Forget what was not answered for two election timeouts: the request or the answer is lost."""
    if core.forwarded_reads:
        limit = 2 * core.config.election_ticks
        core.forwarded_reads = {
            context: ticks + 1 for context, ticks in core.forwarded_reads.items() if ticks < limit
        }


def on_read_request(core: Core, message: RaftMessage) -> None:
    """A node that does not lead stays silent; the asker will hear the leader."""
    if core.leadership is not None:
        reader = Reader(message.sender, message.sender_directory_id, message.read_request.context)
        core.leadership.waiting_reads.append(reader)


def on_read_response(core: Core, message: RaftMessage) -> None:
    """Of the leader that is followed now; a context is answered once."""
    response = message.read_response
    if message.sender == core.leader and core.forwarded_reads.pop(response.context, None) is not None:
        core.reads.append((response.context, response.index))


def is_round_due(core: Core, leadership: Leadership) -> bool:
    """One round is under way at a time: who comes meanwhile shares the next."""
    return bool(leadership.waiting_reads) and core.is_active and not leadership.read_batches


def begin_round(core: Core, leadership: Leadership) -> None:
    """The newest round of heartbeats began just now."""
    batch = ReadBatch(leadership.round_number, core.log.committed_index, leadership.waiting_reads)
    leadership.waiting_reads = []
    leadership.read_batches.append(batch)
    settle(core, leadership)


def settle(core: Core, leadership: Leadership) -> None:
    """Answer what a majority has confirmed."""
    if not leadership.read_batches:
        return
    confirmed = reached_by_majority(_acked_round(core, leadership, voter) for voter in core.members.voters)
    while leadership.read_batches and leadership.read_batches[0].round_number <= confirmed:
        batch = leadership.read_batches.popleft()
        for reader in batch.readers:
            _answer(core, reader, batch.read_index)


def _acked_round(core: Core, leadership: Leadership, voter: int) -> int:
    if voter == core.id:
        return leadership.round_number if core.is_voter else 0
    return leadership.progress[voter].acked_round


def _answer(core: Core, reader: Reader, index: int) -> None:
    if reader.coordinator_id == core.id:
        core.reads.append((reader.context, index))
    else:
        body = ReadResponse(context=reader.context, index=index)
        core.send(reader.coordinator_id, reader.directory_id, read_response=body)

"""One item of DeleteRecords, from the request to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streamkeep_broker.replication.deletions import PendingDeletion
from streamkeep_broker.replication.leadership import Leadership
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_common.errors import StreamkeepError, TimedOutError, to_proto
from streamkeep_proto.v1.broker_pb2 import DeletedRecords, DeleteRecordsPartition

DEFAULT_WAIT_MS = 4_000
"""Longer than a follower that has fallen silent stays in sync by default."""

MAX_WAIT_MS = 60_000


class RecordDeletion(PendingDeletion):
    """The leader's log start moves at once; the answer waits until every in-sync replica has it."""

    def __init__(self, item: DeleteRecordsPartition) -> None:
        self._item = item
        self._leadership: Leadership | None = None
        self._name = ""
        self.answer = DeletedRecords(topic_id=item.topic_id, partition=item.partition)
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self, partitions: Partitions) -> None:
        """Delete, or be refused."""
        item = self._item
        try:
            partition = partitions.find(item.topic_id, item.partition)
            leadership = partition.check_leads(0)
            partition.delete_records(item.before_offset)
        except StreamkeepError as error:
            self.done(error)
            return
        self._name, self._leadership = partition.name, leadership
        self.answer.log_start_offset = partition.log.log_start_offset
        leadership.wait_for_log_start(self, self.answer.log_start_offset)

    def done(self, error: StreamkeepError | None) -> None:
        if error is not None:
            self.answer.error.CopyFrom(to_proto(error))
        if not self.settled.done():
            self.settled.set_result(None)

    def give_up(self) -> None:
        """Wait no longer; if it is not done by now, say so."""
        if self._leadership is not None:
            self._leadership.forget_deletion(self)
        if not self.settled.done():
            told = f"not every in-sync replica of {self._name} has the new log start yet; its leader has"
            self.done(TimedOutError(told))


async def delete(
    partitions: Partitions, items: Sequence[DeleteRecordsPartition], *, timeout_ms: int
) -> list[DeletedRecords]:
    """One answer an item, in their order, within the time; 0 = DEFAULT_WAIT_MS."""
    deletions = [RecordDeletion(item) for item in items]
    wait_s = min(timeout_ms if timeout_ms > 0 else DEFAULT_WAIT_MS, MAX_WAIT_MS) / 1000
    try:
        for deletion in deletions:
            deletion.begin(partitions)
        waiting = [each.settled for each in deletions if not each.settled.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=wait_s)
    finally:
        for deletion in deletions:
            deletion.give_up()
    return [deletion.answer for deletion in deletions]

"""One partition of the fake cluster: its log, and what its producers have written last."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from streamkeep_common.errors import DuplicateSequenceError, OutOfOrderSequenceError, UnknownProducerError
from streamkeep_common.records import decode_batch, stamp
from streamkeep_proto.v1.records_pb2 import LogSegment, RecordBatch

WINDOW = 5

NOW_MS = 1_700_000_000_000


@dataclass
class FakePartition:
    """One partition's log: stamped frames, and what the last batches of each producer were."""

    topic_id: bytes
    number: int
    leader: int
    leader_epoch: int = 1
    log_start: int = 0
    frames: list[bytes] = field(default_factory=list)
    batches: list[RecordBatch] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def end(self) -> int:
        if not self.batches:
            return self.log_start
        return self.batches[-1].base_offset + self.batches[-1].last_offset_delta + 1

    def append(self, batch: RecordBatch) -> int:
        """The base offset, of the original if this is a duplicate."""
        mine = [known for known in self.batches if known.producer_id == batch.producer_id]
        last = mine[-1] if mine else None
        if last is not None and last.producer_epoch == batch.producer_epoch:
            for known in mine[-WINDOW:]:
                same = (known.base_sequence, known.record_count) == (batch.base_sequence, batch.record_count)
                if same and known.producer_epoch == batch.producer_epoch:
                    return int(known.base_offset)
            if batch.base_sequence < last.base_sequence:
                raise DuplicateSequenceError
            if batch.base_sequence != (last.base_sequence + last.record_count) & 0x7FFFFFFF:
                raise OutOfOrderSequenceError
        elif batch.base_sequence != 0:
            raise UnknownProducerError if last is None else OutOfOrderSequenceError
        header = stamp(
            batch,
            batch.records,
            base_offset=self.end,
            leader_epoch=self.leader_epoch,
            append_time_ms=NOW_MS,
            log_append_time=False,
        )
        frame = header + batch.records
        self.frames.append(frame)
        self.batches.append(LogSegment.FromString(frame).batches[0])
        self.notify()
        return int(self.batches[-1].base_offset)

    def notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def values(self) -> list[bytes | None]:
        """All that is stored, in order."""
        return [value for batch in self.batches for value in decode_batch(batch, check=False).values]

"""What a consumer counts, batch by batch, and the snapshot of it that users get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streamkeep.consumer.records import ConsumedBatch
from streamkeep.topic_partition import TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerMetrics:
    """A consumer's figures at one moment; what is counted is counted since the consumer was made.

    records                 handed out, in batches or one by one, or stepped over with a RecordDecodeError.
    bytes                   of the same as the broker stores them, with what it stores beside them; those of a
                            batch that is handed out in parts count with its last part.
    batches                 the same; a part that was handed out alone counts as one.
    records_undecodable     how often RecordDecodeError was raised.
    lag                     by assigned partition the records between the position and the end of what may be
                            read, as last heard; None until the broker has said.
    fetch_buffer_used_bytes fetched ahead and not handed out.
    fetch_buffer_bytes      what may be fetched ahead.
    """

    records: int
    bytes: int
    batches: int
    records_undecodable: int
    lag: Mapping[TopicPartition, int | None]
    fetch_buffer_used_bytes: int
    fetch_buffer_bytes: int


class ConsumerCounts:
    """What goes up while a consumer reads."""

    def __init__(self) -> None:
        self.records = 0
        self.bytes = 0
        self.batches = 0
        self.records_undecodable = 0

    def taken(self, batch: ConsumedBatch) -> None:
        """The batch is on its way to the application."""
        self.records += len(batch)
        self.bytes += batch.size_bytes
        self.batches += 1

    def dropped(self, records: int) -> None:
        """So many records of a batch that was taken are not handed out any more."""
        self.records -= records

    def put_back(self, batch: ConsumedBatch) -> None:
        """It, or what was left of it, was not handed out after all."""
        self.records -= len(batch)
        self.bytes -= batch.size_bytes

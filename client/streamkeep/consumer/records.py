"""What a consumer hands out: records one by one, or batches as columns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Generic

from streamkeep.serializers import K, V
from streamkeep.topic_partition import TopicPartition
from streamkeep_common.errors import CorruptDataError
from streamkeep_common.records import RecordColumns

Headers = Sequence[tuple[str, bytes]]
NO_HEADERS: Headers = ()


class Record(Generic[K, V]):
    """One record. Its timestamp is in ms since 1970-01-01 UTC. A value of None is a tombstone, not empty."""

    __slots__ = ("_batch", "key", "offset", "timestamp_ms", "value")

    def __init__(
        self, batch: ConsumedBatch[K, V], offset: int, timestamp_ms: int, key: K | None, value: V | None
    ) -> None:
        self._batch = batch
        self.offset = offset
        self.timestamp_ms = timestamp_ms
        self.key = key
        self.value = value

    @property
    def topic(self) -> str:
        return self._batch.topic_partition.topic

    @property
    def partition(self) -> int:
        return self._batch.topic_partition.partition

    @property
    def headers(self) -> Headers:
        """Name and value, in the producer's order; a name may stand more than once."""
        return self._batch.headers_at(self.offset)

    @property
    def leader_epoch(self) -> int:
        """Epoch of the leader that stored it."""
        return self._batch.leader_epoch

    def __repr__(self) -> str:
        return (
            f"Record({self._batch.topic_partition} offset={self.offset} timestamp_ms={self.timestamp_ms} "
            f"key={self.key!r} value={self.value!r})"
        )


class ConsumedBatch(Generic[K, V]):
    """Records of one partition as columns: a record is the same index in each.

    `keys` is None if no record of the batch has a key. `headers` holds those of records that have any, by
    index. `finished` says that the consumer's serializers and interceptors have seen to it.
    """

    __slots__ = (
        "finished",
        "headers",
        "keys",
        "leader_epoch",
        "next_offset",
        "offsets",
        "size_bytes",
        "timestamps_ms",
        "topic_partition",
        "values",
    )

    def __init__(
        self,
        topic_partition: TopicPartition,
        *,
        offsets: Sequence[int],
        timestamps_ms: Sequence[int],
        keys: Sequence[K | None] | None,
        values: Sequence[V | None],
        headers: Mapping[int, Headers],
        leader_epoch: int,
        next_offset: int,
        size_bytes: int,
        finished: bool = False,
    ) -> None:
        self.topic_partition = topic_partition
        self.offsets = offsets
        self.timestamps_ms = timestamps_ms
        self.keys = keys
        self.values = values
        self.headers = headers
        self.leader_epoch = leader_epoch
        self.next_offset = next_offset
        self.size_bytes = size_bytes
        self.finished = finished

    @staticmethod
    def of(
        topic_partition: TopicPartition, columns: RecordColumns, *, next_offset: int, size_bytes: int
    ) -> ConsumedBatch[bytes, bytes]:
        """CorruptDataError if the columns do not agree with each other."""
        count = len(columns.offsets)
        lengths = {
            len(columns.values),
            len(columns.timestamps_ms),
            count if columns.keys is None else len(columns.keys),
        }
        if lengths != {count}:
            raise CorruptDataError(f"batch at offset {columns.base_offset}: its columns do not agree")
        return ConsumedBatch(
            topic_partition,
            offsets=columns.offsets,
            timestamps_ms=columns.timestamps_ms,
            keys=columns.keys,
            values=columns.values,
            headers=columns.headers,
            leader_epoch=columns.leader_epoch,
            next_offset=next_offset,
            size_bytes=size_bytes,
        )

    @property
    def topic(self) -> str:
        return self.topic_partition.topic

    @property
    def partition(self) -> int:
        return self.topic_partition.partition

    def __len__(self) -> int:
        return len(self.values)

    def records(self) -> list[Record[K, V]]:
        """The same, one object a record."""
        keys = repeat(None) if self.keys is None else self.keys
        return list(map(Record, repeat(self), self.offsets, self.timestamps_ms, keys, self.values))

    def headers_at(self, offset: int) -> Headers:
        """The headers of the record at an offset of this batch."""
        if not self.headers:
            return NO_HEADERS
        return self.headers.get(bisect_left(self.offsets, offset), NO_HEADERS)

    def split(self, offset: int) -> tuple[ConsumedBatch[K, V], ConsumedBatch[K, V]]:
        """The records below `offset`, and those from it on. Either may be empty."""
        index = bisect_left(self.offsets, offset)
        return self._part(0, index, offset, 0), self._part(
            index, len(self), self.next_offset, self.size_bytes
        )

    def _part(self, start: int, stop: int, next_offset: int, size_bytes: int) -> ConsumedBatch[K, V]:
        return ConsumedBatch(
            self.topic_partition,
            offsets=self.offsets[start:stop],
            timestamps_ms=self.timestamps_ms[start:stop],
            keys=None if self.keys is None else self.keys[start:stop],
            values=self.values[start:stop],
            headers={i - start: self.headers[i] for i in self.headers if start <= i < stop},
            leader_epoch=self.leader_epoch,
            next_offset=next_offset,
            size_bytes=size_bytes,
            finished=self.finished,
        )

"""One assigned partition: where it is read, what was fetched ahead, and the credit that bounds that.

Pure. `position` is the next offset to hand out, `fetch_offset` the next to ask for; between them lies what is
buffered. The broker may send `window_bytes` more than was handed out, and the batch that crosses that.
"""

from __future__ import annotations

from collections import deque

from streamkeep.consumer.records import ConsumedBatch
from streamkeep.topic_partition import TopicPartition
from streamkeep_common.errors import (
    CorruptBatchError,
    CorruptDataError,
    StreamkeepError,
    UnsupportedFeatureError,
)
from streamkeep_common.limits import MAX_RECORDS_PER_BATCH
from streamkeep_common.records import FRAME_HEADER_BYTES, decode_batch, verify_batch
from streamkeep_proto.v1.broker_pb2 import FetchedPartition, FetchStart
from streamkeep_proto.v1.records_pb2 import RecordBatch

NOT_SUBSCRIBED = 0
UNKNOWN = -1


class _Fetched:
    """A verified batch of the log, and the bytes that it took from the credit."""

    __slots__ = ("batch", "size_bytes")

    def __init__(self, batch: RecordBatch, size_bytes: int) -> None:
        self.batch = batch
        self.size_bytes = size_bytes


class PartitionReader:
    """What a consumer knows of one partition."""

    def __init__(
        self, topic_partition: TopicPartition, topic_id: bytes, offset: int, window_bytes: int
    ) -> None:
        self.topic_partition = topic_partition
        self.topic_id = topic_id
        self.position = offset
        self.fetch_offset = offset
        self.high_watermark = UNKNOWN
        self.log_start_offset = UNKNOWN
        self.subscription = NOT_SUBSCRIBED
        self.failure: StreamkeepError | None = None
        """Raised when all that was fetched before it has been handed out; only a seek takes it away."""
        self.damages = 0
        """How often in a row what came next was damaged, or was said to be."""
        self.paused = False
        self.held = False
        self._window_bytes = window_bytes
        self._last_read_epoch = 0
        self._buffer: deque[_Fetched | ConsumedBatch] = deque()
        self.buffered_bytes = 0
        self._handed_out_bytes = 0

    def has_outcome(self) -> bool:
        """`take` would give a batch or raise."""
        return not (self.paused or self.held) and (bool(self._buffer) or self.failure is not None)

    def seek(self, offset: int) -> None:
        """Read on from `offset`; what was fetched is dropped."""
        self.position = self.fetch_offset = offset
        self.subscription = NOT_SUBSCRIBED
        self.failure = None
        self.damages = 0
        self._last_read_epoch = 0
        self._buffer.clear()
        self.buffered_bytes = self._handed_out_bytes = 0

    def reset(self, offset: int) -> None:
        """The log has no `fetch_offset` any more: go on from `offset` after what is buffered."""
        self.fetch_offset = offset
        self._last_read_epoch = 0
        if not self._buffer:
            self.position = offset

    def subscribe(
        self, subscription: int, *, leader_epoch: int, rack: str = "", from_follower: bool = False
    ) -> FetchStart:
        """Ask for what follows under a new subscription; data for an earlier one is not for this reader."""
        self.subscription = subscription
        self._handed_out_bytes = 0
        return FetchStart(
            subscription=subscription,
            topic_id=self.topic_id,
            partition=self.topic_partition.partition,
            offset=self.fetch_offset,
            leader_epoch=leader_epoch,
            rack=rack,
            from_follower=from_follower,
            last_read_epoch=self._last_read_epoch,
            credit_bytes=max(0, self._window_bytes - self.buffered_bytes),
        )

    def receive(self, fetched: FetchedPartition) -> None:
        """Take in what the broker sent. Damage becomes `failure`, and nothing behind it is taken."""
        self.high_watermark = fetched.high_watermark
        self.log_start_offset = fetched.log_start_offset
        for batch in fetched.data.batches:
            payload = batch.records
            next_offset = batch.base_offset + batch.last_offset_delta + 1
            try:
                verify_batch(batch, payload)
            except CorruptBatchError as error:
                self.fail(self._damage(error, self.fetch_offset, batch.base_offset, next_offset))
                return
            except UnsupportedFeatureError as error:
                self.fail(error)
                return
            if next_offset > self.fetch_offset:
                size_bytes = FRAME_HEADER_BYTES + len(payload)
                self._buffer.append(_Fetched(batch, size_bytes))
                self.buffered_bytes += size_bytes
                self.fetch_offset = next_offset
                self.damages = 0
                self._last_read_epoch = batch.leader_epoch

    def fail(self, error: StreamkeepError) -> None:
        """Reading cannot go on; the application hears of it after what is buffered."""
        self.failure = error
        self.subscription = NOT_SUBSCRIBED

    def forgive(self) -> None:
        """The failure may be over: reading may go on from where it came."""
        self.failure = None

    def take(self) -> ConsumedBatch | None:
        """The next records, or None if there are none yet. Raises `failure` when it is its turn."""
        if self.paused or self.held:
            return None
        while self._buffer:
            item = self._buffer.popleft()
            batch = item if isinstance(item, ConsumedBatch) else self._open(item)
            self.buffered_bytes -= batch.size_bytes
            self._handed_out_bytes += batch.size_bytes
            self.position = batch.next_offset
            if len(batch):
                return batch
        if self.failure is not None:
            raise self.failure.with_traceback(None)
        return None

    def put_back(self, batch: ConsumedBatch) -> None:
        """The records were not handed out after all."""
        self._buffer.appendleft(batch)
        self.buffered_bytes += batch.size_bytes
        self._handed_out_bytes -= batch.size_bytes
        if len(batch):
            self.position = batch.offsets[0]

    def take_credit(self) -> int:
        """Bytes to grant the broker now; 0 until half of the window was handed out, to spare messages."""
        if self.subscription == NOT_SUBSCRIBED or self._handed_out_bytes * 2 < self._window_bytes:
            return 0
        credit, self._handed_out_bytes = self._handed_out_bytes, 0
        return credit

    def _open(self, fetched: _Fetched) -> ConsumedBatch:
        """The records from `position` on: a batch may begin below it."""
        batch = fetched.batch
        next_offset = batch.base_offset + batch.last_offset_delta + 1
        try:
            columns = decode_batch(batch, check=False)
            opened = ConsumedBatch.of(
                self.topic_partition, columns, next_offset=next_offset, size_bytes=fetched.size_bytes
            )
        except CorruptDataError as error:
            damage = self._damage(error, self.position, batch.base_offset, next_offset)
            self._buffer.clear()
            self.buffered_bytes = 0
            self.fail(damage)
            raise damage from None
        if batch.base_offset < self.position:
            opened = opened.split(self.position)[1]
        return opened

    def _damage(
        self, error: StreamkeepError, offset: int, base_offset: int, next_offset: int
    ) -> CorruptDataError:
        """Names what cannot be read. What a damaged header says of its end is believed if it is plausible."""
        plausible = base_offset <= offset < next_offset <= base_offset + MAX_RECORDS_PER_BATCH
        return CorruptDataError(
            f"{self.topic_partition} at offset {offset}: {error.message}",
            topic=self.topic_partition.topic,
            partition=self.topic_partition.partition,
            offset=offset,
            next_offset=next_offset if plausible else UNKNOWN,
        )

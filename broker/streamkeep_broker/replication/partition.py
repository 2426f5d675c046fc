"""One hosted replica: whether it leads, what is acknowledged, who waits for that and who reads along.

It decides by the rules of `in_sync` and `waiters` and acts on its log; it knows nothing of streams, of
messages other than the batch, or of how leaders are chosen. All calls are on the event loop.
"""

from __future__ import annotations

from typing import Protocol

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import Appended, PartitionLog
from streamkeep_broker.log.producer_states import Duplicate
from streamkeep_broker.replication.in_sync import effective_min_in_sync, least_acknowledged_end
from streamkeep_broker.replication.waiters import PendingAppend, Waiters
from streamkeep_common.errors import (
    DuplicateSequenceError,
    FencedLeaderEpochError,
    NotLeaderError,
    OffsetNotAvailableError,
    OffsetOutOfRangeError,
    StorageFailedError,
    StreamkeepError,
    UnknownLeaderEpochError,
)
from streamkeep_common.image import PartitionImage
from streamkeep_common.records import check_produced_batch
from streamkeep_common.seams import Clock
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from streamkeep_proto.v1.records_pb2 import RecordBatch


class Reader(Protocol):
    """Someone who reads along and wants to know when there is more."""

    def moved(self) -> None:
        """The high watermark or the log start moved."""
        ...

    def ended(self, error: StreamkeepError) -> None:
        """This broker serves the partition no more; the reader has been removed."""
        ...


class Partition:
    """A replica of one partition on this broker. It refuses everything until an image makes it leader."""

    def __init__(self, log: PartitionLog, *, logs: LogManager, clock: Clock, broker_id: int) -> None:
        self.log = log
        self.leader_epoch = 0
        self.partition_epoch = 0
        self.leads = False
        self._logs = logs
        self._clock = clock
        self._broker_id = broker_id
        self._hint: LeaderHint | None = None
        self._epoch_start_offset = 0
        self._in_sync: tuple[int, ...] = ()
        self._replicas = 0
        self._acknowledged_ends: dict[int, int] = {}
        self._waiters = Waiters()
        self._failure: StorageFailedError | None = None
        self._readers: dict[Reader, None] = {}
        log.on_progress = self.advance

    @property
    def name(self) -> str:
        """topic-partition, for people."""
        return f"{self.log.topic}-{self.log.partition}"

    @property
    def high_watermark(self) -> int:
        return self.log.high_watermark

    @property
    def waiting(self) -> int:
        """Batches that wait for the high watermark."""
        return len(self._waiters)

    @property
    def readers(self) -> int:
        """How many read along."""
        return len(self._readers)

    # --- what the image says ---

    def apply(self, image: PartitionImage, hint: LeaderHint | None) -> None:
        """Take leadership, in-sync set and epochs from the image; `hint` names the leader for clients."""
        assert image.leader_epoch >= self.leader_epoch, "leader epochs never go back"
        self._hint = hint
        self._in_sync = image.isr
        self._replicas = len(image.replicas)
        self.partition_epoch = image.partition_epoch
        if image.leader == self._broker_id:
            self._lead(image.leader_epoch)
        else:
            self.leader_epoch = image.leader_epoch
            self.resign(self._not_leader())

    def change_settings(self, settings: TopicSettings) -> None:
        """New topic settings count from now on; a weaker durability may acknowledge what waits."""
        self.log.settings = settings
        self._logs.request_flush(self.log)
        self.advance()

    def resign(self, error: StreamkeepError) -> None:
        """Lead no more: all that wait and all that read along get `error`."""
        self.leads = False
        self._waiters.fail(error)
        readers, self._readers = self._readers, {}
        for reader in readers:
            reader.ended(error)

    def storage_failed(self, error: StorageFailedError) -> None:
        """The log's disk will never again say that a batch is safe: answer all that wait for it."""
        self._failure = error
        self._waiters.fail(error)

    def _lead(self, leader_epoch: int) -> None:
        if self.leads and leader_epoch == self.leader_epoch:
            self.advance()
            return
        self.leads = True
        self.leader_epoch = leader_epoch
        self._epoch_start_offset = self.log.log_end_offset
        self.log.leader_epochs.assign(leader_epoch, self._epoch_start_offset)
        self._acknowledged_ends = {}
        self._logs.request_flush(self.log)
        self.advance()

    # --- producing ---

    def append(
        self, batch: RecordBatch, payload: bytes, *, leader_epoch: int, pending: PendingAppend
    ) -> None:
        """Append a producer's batch (`payload` is its records, read once). `pending` gets the outcome.

        `leader_epoch` is the one the client believes in, 0 = it does not say. Never raises StreamkeepError:
        a refusal is an outcome too, and waits for its turn.
        """
        needed_end = 0
        try:
            needed_end = self._append(batch, payload, leader_epoch, pending)
        except DuplicateSequenceError as error:
            # The client counts it as done, so whatever it repeats must be safe: all that is here, then.
            pending.refuse(error)
            needed_end = self.log.log_end_offset
        except StreamkeepError as error:
            pending.refuse(error)
        if self._failure is not None and needed_end > self.log.high_watermark:
            pending.error, needed_end = self._failure, 0
        self._waiters.add(pending, needed_end)
        self.advance()

    def _append(self, batch: RecordBatch, payload: bytes, claimed_epoch: int, pending: PendingAppend) -> int:
        """Returns the offset that the high watermark must reach before the answer is given."""
        self.check_leads(claimed_epoch)
        log = self.log
        now_ms = self._clock.now_ms()
        check_produced_batch(batch, payload, settings=log.settings, now_ms=now_ms)
        stored: Appended | Duplicate | None = log.producers.check(
            batch.producer_id, batch.producer_epoch, batch.base_sequence, batch.record_count
        )
        if stored is None:
            stored = self._logs.append(log, batch, payload, leader_epoch=self.leader_epoch, now_ms=now_ms)
            self._logs.request_flush(log)
        pending.base_offset = stored.base_offset
        pending.append_time_ms = stored.append_time_ms
        return stored.next_offset

    def advance(self) -> None:
        """Move the high watermark as far as the rules allow, answer those it reaches, tell those who read."""
        moved = self.leads and self._raise_watermark()
        self._waiters.release(self.log.high_watermark, self.log.log_start_offset)
        if moved:
            self._tell_readers()

    def _raise_watermark(self) -> bool:
        log = self.log
        self._acknowledged_ends[self._broker_id] = log.acknowledged_end
        needed = effective_min_in_sync(log.settings.min_insync_replicas, self._replicas)
        end = least_acknowledged_end(self._acknowledged_ends, self._in_sync, min_in_sync=needed)
        return end is not None and end > log.high_watermark and log.advance_high_watermark(end)

    # --- reading ---

    def check_leads(self, claimed_epoch: int) -> None:
        """Raise NotLeaderError, or an epoch error if the client believes in another epoch (0 = any)."""
        if not self.leads:
            raise self._not_leader()
        if not claimed_epoch or claimed_epoch == self.leader_epoch:
            return
        told = f"{self.name} is at leader epoch {self.leader_epoch}, the request at {claimed_epoch}"
        if claimed_epoch < self.leader_epoch:
            raise FencedLeaderEpochError(told, leader=self._hint)
        raise UnknownLeaderEpochError(told)

    def check_position(self, offset: int, last_read_epoch: int) -> None:
        """Raise OffsetOutOfRangeError unless a reader may stand at `offset`.

        `last_read_epoch` is the leader epoch of the record before it, 0 = none. If the log's part of that
        epoch ends below `offset`, what the reader saw was cut from the log: it must hear of it (KIP-320).
        """
        log = self.log
        if not log.log_start_offset <= offset <= log.log_end_offset:
            raise OffsetOutOfRangeError(
                f"offset {offset} of {self.name} is outside {log.log_start_offset} to {log.log_end_offset}"
            )
        if not last_read_epoch:
            return
        if last_read_epoch > self.leader_epoch:
            raise UnknownLeaderEpochError(
                f"{self.name} is at leader epoch {self.leader_epoch}, the reader at {last_read_epoch}"
            )
        end_offset = self._epoch_end(last_read_epoch)
        if end_offset < offset:
            raise OffsetOutOfRangeError(
                f"{self.name} was cut at offset {end_offset}: records of leader epoch {last_read_epoch} "
                f"from there to {offset - 1} are gone and others may stand in their place"
            )

    def _epoch_end(self, leader_epoch: int) -> int:
        """Where the log's part of an epoch ends; of one before all it knows, where those begin."""
        epochs = self.log.leader_epochs
        known = epochs.end_offset(leader_epoch, self.log.log_end_offset)
        return known.end_offset if known is not None else epochs.starts[0].start_offset

    def check_watermark_known(self) -> None:
        """Raise OffsetNotAvailableError until the high watermark is known to this epoch (KIP-207)."""
        if self.log.high_watermark < self._epoch_start_offset:
            raise OffsetNotAvailableError(
                f"{self.name} has just been given leader epoch {self.leader_epoch} and its high watermark "
                f"has not reached offset {self._epoch_start_offset}"
            )

    def delete_records(self, before_offset: int) -> None:
        """Move the log start to `before_offset` (-1 = the high watermark), never back.

        Raises OffsetOutOfRangeError past the high watermark.
        """
        log = self.log
        target = log.high_watermark if before_offset == -1 else before_offset
        if not 0 <= target <= log.high_watermark:
            raise OffsetOutOfRangeError(
                f"records of {self.name} can be deleted up to its high watermark {log.high_watermark}, "
                f"not to {before_offset}"
            )
        if target > log.log_start_offset:
            log.delete_records(target)
            self._tell_readers()

    def add_reader(self, reader: Reader) -> None:
        """Tell `reader` of every move from now on."""
        self._readers[reader] = None

    def remove_reader(self, reader: Reader) -> None:
        """Nothing happens if it is not there."""
        self._readers.pop(reader, None)

    def _tell_readers(self) -> None:
        for reader in self._readers:
            reader.moved()

    def _not_leader(self) -> NotLeaderError:
        return NotLeaderError(f"broker {self._broker_id} does not lead {self.name}", leader=self._hint)

"""One hosted replica: the part that it plays, how far it may be read, and who reads along.

It leads, follows a leader on another broker, or has no leader, as the committed image says; alone it decides
only to lead no more. What a leader does is in `leadership`. It knows nothing of streams, of RPCs, or of
how leaders are chosen. All calls are on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.replication.leadership import Leadership
from streamkeep_broker.replication.positions import check_position, check_watermark_known
from streamkeep_broker.replication.readers import Reader, Readers
from streamkeep_broker.replication.waiters import PendingAppend
from streamkeep_common.errors import (
    FencedLeaderEpochError,
    NotLeaderError,
    OffsetOutOfRangeError,
    StorageFailedError,
    StreamkeepError,
    UnknownLeaderEpochError,
)
from streamkeep_common.image import BrokerImage, PartitionImage
from streamkeep_common.seams import Clock
from streamkeep_common.settings import TopicSettings
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from streamkeep_proto.v1.records_pb2 import RecordBatch


class Partition:
    """A replica of one partition on this broker. It refuses everything until an image gives it a part.

    `on_moved` is called when a flush has moved the log's flushed end, `on_isr_due` when a follower should be
    let into the in-sync set now, and `on_damaged` by whoever finds the log corrupt. They are to be assigned
    by whoever wants to know.
    """

    def __init__(
        self, log: PartitionLog, *, logs: LogManager, clock: Clock, broker_id: int, replica_lag_ms: int
    ) -> None:
        self.log = log
        self.leader = 0
        self.leader_epoch = 0
        self.partition_epoch = 0
        self.leadership: Leadership | None = None
        """What a leader has; None while this replica does not lead."""
        self.is_being_cut = False
        """Whoever follows for it is about to cut the log back, or does so now."""
        self.on_moved: Callable[[], None] = _nobody_listens
        self.on_isr_due: Callable[[Partition], None] = _nobody_cares
        self.on_damaged: Callable[[Partition], None] = _nobody_cares
        self._logs = logs
        self._clock = clock
        self._broker_id = broker_id
        self._replica_lag_s = replica_lag_ms / 1000
        self._hint: LeaderHint | None = None
        self._resigned_epoch = 0
        self._pending_election: tuple[PartitionImage, Mapping[int, BrokerImage]] | None = None
        self._leaders_watermark = self._leaders_log_start = 0
        self._follows_in_sync = False
        self._failure: StorageFailedError | None = None
        self._readers = Readers()
        log.on_progress = self._flushed

    @property
    def name(self) -> str:
        """topic-partition, for people."""
        return self.log.name

    @property
    def leads(self) -> bool:
        return self.leadership is not None

    @property
    def follows(self) -> bool:
        """Its leader is on another broker."""
        return self.leader not in {0, self._broker_id}

    @property
    def high_watermark(self) -> int:
        return self.log.high_watermark

    @property
    def leaders_watermark(self) -> int:
        """What a follower has heard of its leader's high watermark; 0 = nothing in this epoch."""
        return self._leaders_watermark

    @property
    def waiting(self) -> int:
        """Batches that wait for the high watermark."""
        return 0 if self.leadership is None else self.leadership.waiting

    @property
    def readers(self) -> int:
        """How many read along."""
        return len(self._readers)

    # --- the part it plays ---

    def apply(
        self, image: PartitionImage, hint: LeaderHint | None, *, brokers: Mapping[int, BrokerImage]
    ) -> None:
        """Play the part that the image says; `hint` names the leader for clients, `brokers` are the image's.

        To be called when the partition has changed, and when one of its replicas' brokers has: whether it is
        fenced, and in which registration it is.
        """
        assert image.leader_epoch >= self.leader_epoch, "leader epochs never go back"
        if self._hint is None or image.leader_epoch >= self._hint.leader_epoch:  # else see `step_down`
            self._hint = hint
        self._pending_election = None
        is_new_epoch = image.leader_epoch != self.leader_epoch
        if is_new_epoch:
            self._leaders_watermark = self._leaders_log_start = 0
        self.leader = image.leader
        self.leader_epoch = image.leader_epoch
        self.partition_epoch = image.partition_epoch
        self._follows_in_sync = self.follows and self._is_in_sync(image, brokers)
        if self.leadership is None and (is_new_epoch or not self._follows_in_sync):
            self.end_readers(self._not_leader())
        if image.leader != self._broker_id:
            self.resign(self._not_leader())
        elif self.leadership is not None and self.leadership.leader_epoch == image.leader_epoch:
            self.leadership.update(image, brokers)
        elif image.leader_epoch > self._resigned_epoch:
            self._pending_election = (image, brokers)
            self.lead_if_elected()
        if self.leads:
            self._readers.tell_of_image()

    def _is_in_sync(self, image: PartitionImage, brokers: Mapping[int, BrokerImage]) -> bool:
        own = brokers.get(self._broker_id)
        return own is not None and not own.fenced and self._broker_id in image.isr

    def lead_if_elected(self) -> None:
        """Lead, if the image has said so, now that the log is whole. Followers are measured by where it ends,
        and one that is being cut back, as its last leader told it, is about to end elsewhere."""
        if self._pending_election is not None and not self.is_being_cut and not self.log.is_suspended:
            (image, brokers), self._pending_election = self._pending_election, None
            self._lead(image, brokers)

    def resign(self, error: StreamkeepError) -> None:
        """Lead no more in this leader epoch: all that wait, follow or read along get `error`."""
        self._pending_election = None
        leadership, self.leadership = self.leadership, None
        if leadership is None:
            return
        self._resigned_epoch = leadership.leader_epoch
        leadership.end(error)
        self.end_readers(error)

    def step_down(self, hint: LeaderHint) -> None:
        """A follower knows of a newer leader. Nothing is acknowledged any more until an image says the like;
        what is acknowledged already the newer leader has, for it was in sync."""
        if self.leadership is not None and hint.leader_epoch > self.leader_epoch:
            self._hint = hint
            self.resign(self._not_leader())

    def _lead(self, image: PartitionImage, brokers: Mapping[int, BrokerImage]) -> None:
        if self.leadership is not None:
            self.leadership.end(self._not_leader())
        self.leadership = Leadership(
            image,
            brokers,
            log=self.log,
            logs=self._logs,
            clock=self._clock,
            replica_lag_s=self._replica_lag_s,
            on_watermark=self._readers.tell,
            on_isr_due=lambda: self.on_isr_due(self),
        )
        if self._failure is not None:
            self.leadership.storage_failed(self._failure)
        self.leadership.advance()

    def change_settings(self, settings: TopicSettings) -> None:
        """New topic settings count from now on; a weaker durability may acknowledge what waits."""
        self.log.settings = settings
        self._logs.request_flush(self.log)
        if self.leadership is not None:
            self.leadership.check_waiters()
        self.advance()

    def storage_failed(self, error: StorageFailedError) -> None:
        """The log's disk will never again say that a batch is safe: answer all that wait for it."""
        self._failure = error
        if self.leadership is not None:
            self.leadership.storage_failed(error)

    # --- leading ---

    def append(
        self, batch: RecordBatch, payload: bytes, *, leader_epoch: int, pending: PendingAppend
    ) -> None:
        """Append a producer's batch (`payload` is its records, read once). `pending` gets the outcome.

        `leader_epoch` is the one the client believes in, 0 = it does not say. Never raises StreamkeepError:
        a refusal is an outcome too, and waits for its turn.
        """
        try:
            leadership = self.check_leads(leader_epoch)
        except StreamkeepError as error:
            pending.refuse(error)
            self._refuse(pending)
        else:
            leadership.append(batch, payload, pending)

    def _refuse(self, pending: PendingAppend) -> None:
        if self.leadership is not None:
            self.leadership.wait(pending, 0)
        else:
            pending.done()

    def check_leads(self, claimed_epoch: int) -> Leadership:
        """Raise NotLeaderError, or an epoch error if the client believes in another epoch (0 = any)."""
        if self.leadership is None:
            raise self._not_leader()
        if claimed_epoch:
            self._check_epoch(claimed_epoch)
        return self.leadership

    def check_serves(self, claimed_epoch: int, *, from_follower: bool) -> None:
        """As `check_leads`; but a reader that the leader has sent here is served by a follower in sync, too,
        under the same epoch and up to its own high watermark (KIP-392)."""
        if from_follower and self._follows_in_sync and not self.is_being_cut:
            if claimed_epoch:
                self._check_epoch(claimed_epoch)
        else:
            self.check_leads(claimed_epoch)

    def check_leads_in(self, leader_epoch: int) -> Leadership:
        """As `check_leads`, for a follower, who knows the epoch and may know it before this broker does."""
        self._check_epoch(leader_epoch)
        return self.check_leads(leader_epoch)

    def _check_epoch(self, claimed_epoch: int) -> None:
        if claimed_epoch == self.leader_epoch:
            return
        told = f"{self.name} is at leader epoch {self.leader_epoch}, the request at {claimed_epoch}"
        if claimed_epoch < self.leader_epoch:
            raise FencedLeaderEpochError(told, leader=self._hint)
        raise UnknownLeaderEpochError(told)

    # --- following ---

    def learn(self, *, high_watermark: int, log_start_offset: int) -> None:
        """A follower hears from its leader. Its own watermark never passes what it has acknowledged."""
        assert not self.leads, "a leader learns from nobody"
        self._leaders_watermark = max(self._leaders_watermark, high_watermark)
        self._leaders_log_start = max(self._leaders_log_start, log_start_offset)
        self._catch_up_with_leader()

    def begin_cut(self) -> None:
        """Whoever follows for this replica is about to cut its log back: nobody reads its files meanwhile."""
        self.is_being_cut = True
        self.end_readers(self._not_leader())

    def _catch_up_with_leader(self) -> None:
        """As far as what is acknowledged here allows; the log start waits for the watermark."""
        log = self.log
        before = log.log_start_offset
        moved = self._leaders_watermark > log.high_watermark and log.advance_high_watermark(
            self._leaders_watermark
        )
        if self._leaders_log_start > before:
            log.adopt_log_start(self._leaders_log_start)
        if moved or log.log_start_offset > before:
            self._readers.tell()

    # --- progress ---

    def _flushed(self) -> None:
        self.advance()
        self.on_moved()

    def advance(self) -> None:
        """Move the high watermark as far as it may go."""
        if self.leadership is not None:
            self.leadership.advance()
        else:
            self._catch_up_with_leader()

    # --- reading ---

    def check_position(self, offset: int, last_read_epoch: int) -> None:
        """As `positions.check_position`."""
        check_position(self.log, offset, last_read_epoch, leader_epoch=self.leader_epoch)

    def check_watermark_known(self) -> None:
        """Raise OffsetNotAvailableError until the high watermark is known to this epoch (KIP-207)."""
        if self.leadership is not None:
            check_watermark_known(self.log, self.leadership.epoch_start_offset, self.leader_epoch)

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
            if self.leadership is not None:
                self.leadership.tell_followers()
            self._readers.tell()

    def add_reader(self, reader: Reader) -> None:
        """Tell `reader` of every move from now on."""
        self._readers.add(reader)

    def remove_reader(self, reader: Reader) -> None:
        """Nothing happens if it is not there."""
        self._readers.remove(reader)

    def end_readers(self, error: StreamkeepError) -> None:
        """This broker serves the partition no more: all that read along get `error`."""
        self._readers.end(error)

    def _not_leader(self) -> NotLeaderError:
        return NotLeaderError(f"broker {self._broker_id} does not lead {self.name}", leader=self._hint)


def _nobody_listens() -> None:
    """Until somebody asks to hear of flushes."""


def _nobody_cares(_partition: Partition) -> None:
    """Until somebody asks to hear of it."""

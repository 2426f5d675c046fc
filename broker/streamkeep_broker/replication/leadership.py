"""What only a leader has, for one leader epoch: who waits, who follows, who is in sync and what is safe.

It acts on its log and decides by the rules of `in_sync` and `isr_changes`. It ends with its epoch, and
whatever is acknowledged to it after that counts for nothing. It knows nothing of streams or readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.producer_states import Duplicate
from streamkeep_broker.log.writable_log import Appended
from streamkeep_broker.replication.deletions import Deletions, PendingDeletion
from streamkeep_broker.replication.followers import Followers, Subscription
from streamkeep_broker.replication.in_sync import least_acknowledged_end
from streamkeep_broker.replication.isr_changes import Candidate, IsrChanges, IsrRules
from streamkeep_broker.replication.waiters import PendingAppend, Waiters
from streamkeep_common.errors import (
    DuplicateSequenceError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    StorageFailedError,
    StreamkeepError,
)
from streamkeep_common.image import BrokerImage, PartitionImage
from streamkeep_common.records import check_produced_batch
from streamkeep_common.seams import Clock
from streamkeep_proto.v1.coordinator_pb2 import InSyncMember
from streamkeep_proto.v1.records_pb2 import RecordBatch


class Leadership:
    """See the module. `on_watermark` is called when the high watermark has moved, `on_isr_due` when a
    follower should be let into the in-sync set now."""

    def __init__(
        self,
        image: PartitionImage,
        brokers: Mapping[int, BrokerImage],
        *,
        log: PartitionLog,
        logs: LogManager,
        clock: Clock,
        replica_lag_s: float,
        on_watermark: Callable[[], None],
        on_isr_due: Callable[[], None],
    ) -> None:
        self.leader_epoch = image.leader_epoch
        self.epoch_start_offset = log.log_end_offset
        self._image = image
        self._log = log
        self._logs = logs
        self._clock = clock
        self._replica_lag_s = replica_lag_s
        self._on_watermark = on_watermark
        self._on_isr_due = on_isr_due
        self._waiters = Waiters()
        self._deletions = Deletions()
        self._failure: StorageFailedError | None = None
        self._isr = IsrChanges(image.leader, image.isr, image.partition_epoch)
        self._followers = Followers(image.leader, since_s=clock.monotonic())
        self._followers.update(_directories(image), brokers)
        log.leader_epochs.assign(self.leader_epoch, self.epoch_start_offset)
        logs.request_flush(log)

    @property
    def name(self) -> str:
        """topic-partition, for people."""
        return self._log.name

    @property
    def waiting(self) -> int:
        """Batches that wait for the high watermark."""
        return len(self._waiters)

    @property
    def followers(self) -> int:
        """How many follow now."""
        return len(self._followers)

    # --- what the image and the disk say ---

    def update(self, image: PartitionImage, brokers: Mapping[int, BrokerImage]) -> None:
        """The same leader epoch; anything else may have changed."""
        assert image.leader_epoch == self.leader_epoch
        joined = [each for each in image.isr if each not in self._isr.committed]
        self._image = image
        self._isr.commit(image.isr, image.partition_epoch)
        self._followers.update(_directories(image), brokers)
        for follower_id in joined:
            self._followers.restart_lag(follower_id, self._clock.monotonic())
        self.check_waiters()
        self.advance()
        self._propose_additions()

    def check_waiters(self) -> None:
        """While too few are in sync nothing that waits can be acknowledged: say so."""
        if self._waiters and self._lacks_replicas():
            self._waiters.fail(NotEnoughReplicasAfterAppendError(self._what_is_lacking()))

    def storage_failed(self, error: StorageFailedError) -> None:
        """The log's disk will never again say that a batch is safe: answer all that wait for it."""
        self._failure = error
        self._waiters.fail(error)

    def end(self, error: StreamkeepError) -> None:
        """Lead no more: all that wait and all that follow get `error`."""
        self._waiters.fail(error)
        self._deletions.fail(error)
        self._followers.end_all(error)

    # --- producing ---

    def append(self, batch: RecordBatch, payload: bytes, pending: PendingAppend) -> None:
        """Append a producer's batch (`payload` is its records, read once). `pending` gets the outcome."""
        needed_end = 0
        try:
            needed_end = self._append(batch, payload, pending)
        except DuplicateSequenceError as error:
            # The client counts it as done, so whatever it repeats must be safe: all that is here, then.
            pending.refuse(error)
            needed_end = self._log.log_end_offset
        except StreamkeepError as error:
            pending.refuse(error)
        if self._failure is not None and needed_end > self._log.high_watermark:
            pending.refuse(self._failure)
            needed_end = 0
        self.wait(pending, needed_end)

    def wait(self, pending: PendingAppend, needed_end: int) -> None:
        """Answer `pending` after what came before it, when the high watermark is at `needed_end`."""
        self._waiters.add(pending, needed_end)
        self.advance()

    def _append(self, batch: RecordBatch, payload: bytes, pending: PendingAppend) -> int:
        """Returns the offset that the high watermark must reach before the answer is given."""
        if self._lacks_replicas():
            raise NotEnoughReplicasError(self._what_is_lacking())
        log = self._log
        now_ms = self._clock.now_ms()
        check_produced_batch(batch, payload, settings=log.settings, now_ms=now_ms)
        stored: Appended | Duplicate | None = log.producers.check(
            batch.producer_id, batch.producer_epoch, batch.base_sequence, batch.record_count
        )
        if stored is None:
            stored = self._logs.append(log, batch, payload, leader_epoch=self.leader_epoch, now_ms=now_ms)
            for subscription in self._followers:  # before the own flush: theirs comes a journey later
                subscription.appended()
            self._logs.request_flush(log)
        pending.base_offset = stored.base_offset
        pending.append_time_ms = stored.append_time_ms
        return stored.next_offset

    def advance(self) -> None:
        """Move the high watermark as far as the rules allow, answer those it reaches, tell those who read."""
        moved = self._raise_watermark()
        self._waiters.release(self._log.high_watermark, self._log.log_start_offset)
        if moved:
            self.tell_followers()
            self._on_watermark()
        if self._deletions:
            self._release_deletions()

    def _raise_watermark(self) -> bool:
        log, isr = self._log, self._isr
        ends = self._followers.acknowledged_ends(log.settings.durability)
        ends[self._image.leader] = log.acknowledged_end
        end = least_acknowledged_end(
            ends, committed=isr.committed, additions=isr.additions, required=self._required
        )
        return end is not None and end > log.high_watermark and log.advance_high_watermark(end)

    def tell_followers(self) -> None:
        """The high watermark or the log start moved."""
        for subscription in self._followers:
            subscription.moved()

    # --- deleting ---

    def wait_for_log_start(self, pending: PendingDeletion, log_start_offset: int) -> None:
        """Tell `pending` when no in-sync replica's log begins before that offset any more."""
        self._deletions.add(pending, log_start_offset)
        self._release_deletions()

    def forget_deletion(self, pending: PendingDeletion) -> None:
        """Nobody waits for it any more."""
        self._deletions.forget(pending)

    def _release_deletions(self) -> None:
        """Who may be in sync soon counts, as for the high watermark: it might lead next."""
        starts = self._followers.log_starts()
        starts[self._image.leader] = self._log.log_start_offset
        least = least_acknowledged_end(
            starts, committed=self._isr.committed, additions=self._isr.additions, required=0
        )
        if least is not None:
            self._deletions.release(least)

    # --- followers ---

    def check_follower(self, follower_id: int, broker_epoch: int) -> None:
        """Raise ReplicaNotAvailableError or StaleBrokerEpochError unless the image knows this follower so."""
        self._followers.check(follower_id, broker_epoch)

    def add_follower(
        self,
        subscription: Subscription,
        *,
        log_end_offset: int,
        flushed_end_offset: int,
        log_start_offset: int = 0,
    ) -> None:
        """Push to it from now on. The follower has been checked; where it begins is its first
        acknowledgement."""
        log = self._log
        self._followers.add(
            subscription,
            log_end_offset=log_end_offset,
            flushed_end_offset=flushed_end_offset,
            log_start_offset=log_start_offset,
            leader_end=log.log_end_offset,
            now_s=self._clock.monotonic(),
        )
        self._acknowledged(subscription)

    def acknowledge(
        self,
        subscription: Subscription,
        log_end_offset: int,
        flushed_end_offset: int,
        log_start_offset: int = 0,
    ) -> None:
        """What a follower has now. It counts for nothing if the subscription is not its newest one."""
        progress = self._followers.progress_of(subscription)
        if progress is not None:
            progress.acknowledge(log_end_offset, flushed_end_offset, log_start_offset)
            self._acknowledged(subscription)

    def remove_follower(self, subscription: Subscription) -> None:
        """It is over; what was acknowledged stays."""
        self._followers.remove(subscription)

    def _acknowledged(self, subscription: Subscription) -> None:
        progress = self._followers.progress_of(subscription)
        assert progress is not None
        end = progress.acknowledged_end(self._log.settings.durability)
        progress.look(end, leader_end=self._log.log_end_offset, now_s=self._clock.monotonic())
        self.advance()
        if subscription.follower_id not in self._isr.committed:
            self._propose_additions()

    # --- the in-sync set ---

    def wanted_isr(self, now_s: float) -> list[InSyncMember] | None:
        """The in-sync set to propose now, None = nothing to propose.

        If it is proposed, then in the same pass of the loop: call `isr_proposed`, and after the call one of
        the others unless it was accepted; then the image settles it.
        """
        log = self._log
        durability = log.settings.durability
        self._followers.look(durability, leader_end=log.log_end_offset, now_s=now_s)
        wanted = self._isr.wanted(
            self._followers.candidates(durability),
            self._rules(now_s),
            completes_move=_is_move_complete(self._image),
        )
        if wanted is None:
            return None
        return [
            InSyncMember(broker_id=each, broker_epoch=self._followers.broker_epoch(each)) for each in wanted
        ]

    def isr_proposed(self, members: list[InSyncMember]) -> None:
        """A proposal is about to be sent: what it adds counts for the high watermark from now on."""
        self._isr.proposed([member.broker_id for member in members])

    def isr_refused(self) -> None:
        """It was not carried out and never will be."""
        self._isr.refused()
        self.advance()

    def isr_unknown(self) -> None:
        """Nobody can say whether it was or will be carried out."""
        self._isr.unknown()

    def _rules(self, now_s: float) -> IsrRules:
        return IsrRules(
            leader_end=self._log.log_end_offset,
            joining_end=max(self._log.high_watermark, self.epoch_start_offset),
            now_s=now_s,
            replica_lag_s=self._replica_lag_s,
        )

    def _propose_additions(self) -> None:
        """A follower that has all that is acknowledged is let in without waiting for the next look."""
        if self._isr.in_flight or len(self._isr.committed) == len(self._image.replicas):
            return
        rules = self._rules(self._clock.monotonic())
        candidates: list[Candidate] = self._followers.candidates(self._log.settings.durability)
        if any(each.broker_id not in self._isr.committed and rules.may_join(each) for each in candidates):
            self._on_isr_due()

    # --- min ISR ---

    @property
    def _required(self) -> int:
        return self._image.required_isr(self._log.settings.min_insync_replicas)

    def _lacks_replicas(self) -> bool:
        return len(self._isr.committed) < self._required

    def _what_is_lacking(self) -> str:
        in_sync = ", ".join(str(each) for each in sorted(self._isr.committed)) or "none"
        return (
            f"{self.name} needs {self._required} replicas in sync (min_insync_replicas), and of brokers "
            f"{', '.join(str(each) for each in sorted(self._image.replicas))} only these are: {in_sync}"
        )


def _directories(image: PartitionImage) -> dict[int, bytes]:
    """The log directory of each replica, by broker."""
    return dict(zip(image.replicas, image.directory_ids, strict=True))


def _is_move_complete(image: PartitionImage) -> bool:
    """All that it is to have are in sync, as after the election of the only one: nobody else will join, and
    it is the change of the in-sync set that ends a move (KIP-455)."""
    is_moving = bool(image.adding_replicas or image.removing_replicas)
    return is_moving and set(image.target_replicas) <= set(image.isr)

"""What this broker has to tell the active coordinator of its replicas: which are damaged, and how far the log
of each goes whose partition waits for a leader of last resort (KIP-966).

The coordinator keeps it in memory only. So each report is repeated until it was heard, again when the
partition has changed since, and again in each new session, which may be with another coordinator.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamkeep_broker.replication.coordinator import (
    CALL_TIMEOUT_S,
    MAX_PARTITIONS_PER_CALL,
    ActiveCoordinator,
    CallLoop,
    check_answers,
)
from streamkeep_broker.replication.partition import Partition
from streamkeep_common.errors import StreamkeepError, from_proto, raise_if_error
from streamkeep_common.image import PartitionImage
from streamkeep_common.methods import REPORT_REPLICAS
from streamkeep_common.seams import Clock
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import ReplicaReport, ReportedReplica, ReportReplicasRequest

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Subject:
    """A replica of which there is something to tell. `heard_in` is the session and the partition epoch."""

    damaged: bool = False
    is_lost: bool = False
    """Damaged only in that files are gone: the log is empty, and whole."""
    waits: bool = False
    may_copy_anew: bool = False
    is_counted_on: bool = True
    """The image has it among those in sync or eligible."""
    leads_alone: bool = False
    """The image has it lead, and nobody else in sync or eligible."""
    heard_in: tuple[int, int] = (0, 0)

    @property
    def tells_damage(self) -> bool:
        """A partition that waits for a leader of last resort needs to know how far each log goes: what is
        damaged may be the best that is left."""
        return self.damaged and not self.waits

    def look(self, image: PartitionImage, broker_id: int) -> None:
        """The partition stands so from now on."""
        members = (*image.isr, *image.elr)
        self.waits = not image.leader and broker_id in image.last_members
        self.is_counted_on = broker_id in members
        self.leads_alone = image.leader == broker_id and members == (broker_id,)

    def forget_loss(self) -> None:
        """Whoever leads alone has what the partition has from now on, and others come into sync by copying
        that. So that its files were lost once is no reason to drop what is written since; corrupt files are.
        An image from before a report was heard may be older than the loss, and says nothing of it."""
        if self.is_lost and self.leads_alone and self.heard_in != (0, 0):
            self.damaged = self.is_lost = self.may_copy_anew = False

    def is_heard(self, session: int, partition_epoch: int) -> bool:
        """There is nothing to tell now. Once the coordinator has said that the replica may be copied anew it
        need not be told again, unless the replica is in sync or eligible again: its log end does not show the
        damage."""
        if self.may_copy_anew and not self.waits and not self.is_counted_on:
            return True
        return self.heard_in == (session, partition_epoch)


class ReplicaReports:
    """See the module. `on_may_copy_anew` is called with damaged replicas that others can replace, `on_heard`
    after each call that was."""

    def __init__(
        self,
        *,
        broker_id: int,
        coordinator: ActiveCoordinator,
        clock: Clock,
        rng: random.Random,
        on_may_copy_anew: Callable[[Partition], None],
        on_heard: Callable[[], None],
    ) -> None:
        self._broker_id = broker_id
        self._coordinator = coordinator
        self._on_may_copy_anew = on_may_copy_anew
        self._on_heard = on_heard
        self._subjects: dict[Partition, _Subject] = {}
        self._session = 0
        self._loop = CallLoop(clock, rng)

    def start(self, on_failure: Callable[[Exception], None]) -> None:
        """Report from now on."""
        self._loop.start(self._run(), on_failure)

    async def stop(self) -> None:
        """Report nothing more."""
        await self._loop.stop()

    @property
    def has_unheard_damage(self) -> bool:
        """A damaged replica has not been reported yet, in no session and at no partition epoch."""
        return any(each.damaged and each.heard_in == (0, 0) for each in self._subjects.values())

    def is_to_be_dropped(self, partition: Partition) -> bool:
        """It is damaged, and nobody counts on it. Until it has begun anew it must not follow: by its log end
        it could come into sync while its log is about to be emptied."""
        subject = self._subjects.get(partition)
        return subject is not None and subject.tells_damage and not subject.is_counted_on

    # --- what there is to tell ---

    def session_opened(self) -> None:
        """Whoever is active now may know nothing of what another one was told."""
        self._session += 1
        self._loop.wake()

    def damaged(self, partition: Partition) -> None:
        """The replica's data is not to be trusted, and stays so until `repaired`."""
        subject = self._subjects.setdefault(partition, _Subject())
        subject.is_lost = False
        if not subject.damaged:
            subject.damaged = True
            subject.heard_in = (0, 0)
            self._loop.wake()

    def lost(self, partition: Partition) -> None:
        """The replica begins empty, and what was in it was counted on: damaged until it is `repaired`, or
        leads alone."""
        self.damaged(partition)
        self._subjects[partition].is_lost = True

    def repaired(self, partition: Partition) -> None:
        """The replica was dropped and begins anew."""
        if partition in self._subjects:
            subject = self._subjects[partition]
            subject.damaged = subject.is_lost = subject.may_copy_anew = False
            self._drop_if_silent(partition)

    def image_changed(self, partition: Partition, image: PartitionImage) -> None:
        """The partition stands so from now on."""
        if not image.leader and self._broker_id in image.last_members:
            self._subjects.setdefault(partition, _Subject())
        subject = self._subjects.get(partition)
        if subject is not None:
            subject.look(image, self._broker_id)
            subject.forget_loss()
            self._drop_if_silent(partition)
            self._loop.wake()

    def forget(self, partition: Partition) -> None:
        """This broker hosts it no more."""
        self._subjects.pop(partition, None)

    def _drop_if_silent(self, partition: Partition) -> None:
        subject = self._subjects[partition]
        if not subject.damaged and not subject.waits:
            del self._subjects[partition]

    # --- telling it ---

    async def _run(self) -> None:
        while True:
            await self._loop.wait()
            while self._coordinator.is_open and (unheard := self._unheard()):
                await self._report(unheard)

    def _unheard(self) -> list[Partition]:
        unheard = [
            partition
            for partition, subject in self._subjects.items()
            if not subject.is_heard(self._session, partition.partition_epoch)
        ]
        return unheard[:MAX_PARTITIONS_PER_CALL]

    async def _report(self, partitions: Sequence[Partition]) -> None:
        """One call. If not all was heard it is followed by a pause."""
        session, reports = self._session, [self._describe(partition) for partition in partitions]
        try:
            outcomes = await self._call(reports)
        except StreamkeepError as error:
            _logger.info("no coordinator heard what there is to say of %d replicas: %s", len(reports), error)
            await self._loop.pause()
            return
        heard = [
            self._settle(partition, session, report, outcome)
            for partition, report, outcome in zip(partitions, reports, outcomes, strict=True)
        ]
        self._on_heard()
        if all(heard):
            self._loop.succeeded()
        else:
            await self._loop.pause()

    def _describe(self, partition: Partition) -> ReplicaReport:
        """How far a log goes is how far it is whole: an undamaged one of the same length is better."""
        log = partition.log
        end_offset = min([log.log_end_offset, *(defect.offset for defect in log.defects)])
        return ReplicaReport(
            topic_id=log.topic_id,
            partition=log.partition,
            partition_epoch=partition.partition_epoch,
            damaged=self._subjects[partition].tells_damage,
            last_epoch=log.leader_epochs.at(end_offset - 1),
            log_end_offset=end_offset,
        )

    async def _call(self, reports: Sequence[ReplicaReport]) -> Sequence[ReportedReplica]:
        request = ReportReplicasRequest(
            broker_id=self._broker_id, broker_epoch=self._coordinator.broker_epoch, replicas=reports
        )
        response = await self._coordinator.call(REPORT_REPLICAS, request, timeout_s=CALL_TIMEOUT_S)
        raise_if_error(response.error)
        check_answers(reports, response.outcomes)
        return response.outcomes

    def _settle(
        self, partition: Partition, session: int, report: ReplicaReport, outcome: ReportedReplica
    ) -> bool:
        """Whether it was heard. What was not goes behind the others."""
        subject = self._subjects.pop(partition, None)
        if subject is None:
            return True
        self._subjects[partition] = subject
        if outcome.error.code != errors_pb2.NONE:
            _logger.info("a report on %s was not heard: %s", partition.name, from_proto(outcome.error))
            return False
        if report.damaged == subject.tells_damage:
            subject.heard_in = (session, report.partition_epoch)
        if subject.damaged and outcome.may_copy_anew:
            subject.may_copy_anew = True
            self._on_may_copy_anew(partition)
        else:
            subject.forget_loss()
            self._drop_if_silent(partition)
        return True

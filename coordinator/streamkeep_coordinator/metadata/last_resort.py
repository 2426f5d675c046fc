"""Who leads when nobody in sync or eligible is left: the replica with the most, of all that might have more.

The members of the last in-sync and eligible set report how far their logs go. Once all have whose directory
is still there, the one with the greatest last epoch, and in it the greatest log end, may lead: nobody who can
be asked has more. What is lost with those who cannot be asked is lost, so this is logged as possible loss. A
member that is only away is waited for; who does not want to wait asks for an unclean election.

Pure. Reports are kept in memory by the active coordinator, and made again to the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from streamkeep_common.image import ClusterImage, PartitionImage
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.elections import election_of_last_resort
from streamkeep_coordinator.metadata.members import has_directory, is_usable
from streamkeep_coordinator.metadata.placement import Placement
from streamkeep_coordinator.metadata.relocation import begin_again, with_directories
from streamkeep_coordinator.metadata.standings import PartitionChanges
from streamkeep_proto.v1.coordinator_pb2 import ReplicaReport

Key: TypeAlias = tuple[bytes, int]
"""Topic id and number of a partition."""


class LogReach(NamedTuple):
    """How far a replica's log goes; the greater has more."""

    last_epoch: int
    log_end_offset: int


class _Report(NamedTuple):
    broker_epoch: int
    reach: LogReach


class _Waiting(NamedTuple):
    """The reports on one partition; they hold at this partition epoch only."""

    partition_epoch: int
    reports: dict[int, _Report]


class Winner(NamedTuple):
    """Who is to lead a partition that is still at this partition epoch."""

    broker_id: int
    partition_epoch: int


class LastResort:
    """The reports that one active coordinator has heard."""

    def __init__(self) -> None:
        self._waiting: dict[Key, _Waiting] = {}

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def hear(self, broker_id: int, broker_epoch: int, report: ReplicaReport) -> None:
        """A report of a member for which the partition waits."""
        key = (report.topic_id, report.partition)
        waiting = self._waiting.get(key)
        if waiting is None or waiting.partition_epoch < report.partition_epoch:
            waiting = self._waiting[key] = _Waiting(report.partition_epoch, {})
        if waiting.partition_epoch == report.partition_epoch:
            reach = LogReach(report.last_epoch, report.log_end_offset)
            waiting.reports[broker_id] = _Report(broker_epoch, reach)

    def winners(self, image: ClusterImage) -> dict[Key, Winner]:
        """Partitions whose wait is over. What waits no more is forgotten."""
        winners: dict[Key, Winner] = {}
        for key, waiting in list(self._waiting.items()):
            partition = image.partition(*key)
            if partition is None or partition.partition_epoch > waiting.partition_epoch:
                del self._waiting[key]
            elif leader := _winner(image, partition, waiting):
                winners[key] = Winner(leader, waiting.partition_epoch)
        return winners


def elect_winners(image: ClusterImage, winners: Mapping[Key, Winner]) -> Decision[int]:
    """How many partitions are led by them from now on; those that have changed meanwhile are left alone."""
    changes = PartitionChanges()
    placement = Placement(image)
    count = 0
    for key, winner in winners.items():
        partition = image.partition(*key)
        if (
            partition is not None
            and partition.partition_epoch == winner.partition_epoch
            and is_usable(image, partition, winner.broker_id)
        ):
            standing = election_of_last_resort(partition, winner.broker_id)
            begin_again(partition, with_directories(image, partition, placement), standing, changes)
            count += 1
    draft = Draft(image)
    draft.write(*changes.records(image))
    return draft.decide(count)


def _winner(image: ClusterImage, partition: PartitionImage, waiting: _Waiting) -> int:
    """0 = somebody is waited for, or the one with the most is not up yet."""
    if partition.partition_epoch != waiting.partition_epoch:
        return 0
    asked = [each for each in partition.last_members if has_directory(image, partition, each)]
    reach: dict[int, LogReach] = {}
    for member in asked:
        report = waiting.reports.get(member)
        if report is None or report.broker_epoch != image.brokers[member].broker_epoch:
            return 0
        reach[member] = report.reach
    most = max(asked, key=lambda each: reach[each], default=0)
    return most if most and is_usable(image, partition, most) else 0

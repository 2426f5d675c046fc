"""What brokers say of their replicas: that one is damaged, or how far the log of one goes that waits for a
leader of last resort.

A damaged replica leaves the in-sync and the eligible ones if others have its data; then it may be dropped and
copied anew, under a new leader epoch, so that what was acknowledged for the old copy counts for it no more.
If it is the last one it stays as it is: part of the data is better than none.
"""

from __future__ import annotations

from streamkeep_common.errors import (
    ElectionNotNeededError,
    ReplicaNotAvailableError,
    StalePartitionEpochError,
    StreamkeepError,
    to_proto,
)
from streamkeep_common.image import ClusterImage, Standing
from streamkeep_coordinator.metadata.decision import Decision, Draft
from streamkeep_coordinator.metadata.elections import elect
from streamkeep_coordinator.metadata.find import Found, current_broker, find_partition
from streamkeep_coordinator.metadata.standings import Change, PartitionChanges
from streamkeep_coordinator.metadata.topic_settings import is_unclean_allowed, min_insync_replicas
from streamkeep_proto.v1.coordinator_pb2 import (
    ReplicaReport,
    ReportedReplica,
    ReportReplicasRequest,
    ReportReplicasResponse,
)


def report_replicas(image: ClusterImage, request: ReportReplicasRequest) -> Decision[ReportReplicasResponse]:
    """What the reports of damage change. An outcome without error says that the report was heard.

    Those of how far logs go change nothing here; whoever collects them takes those that were heard.
    UnknownBrokerError, StaleBrokerEpochError if it is not the broker's current incarnation that reports.
    """
    current_broker(image, request.broker_id, request.broker_epoch)
    changes = PartitionChanges()
    outcomes = [_outcome(image, request.broker_id, report, changes) for report in request.replicas]
    draft = Draft(image)
    draft.write(*changes.records(image))
    return draft.decide(ReportReplicasResponse(outcomes=outcomes))


def _outcome(
    image: ClusterImage, broker_id: int, report: ReplicaReport, changes: PartitionChanges
) -> ReportedReplica:
    outcome = ReportedReplica(topic_id=report.topic_id, partition=report.partition)
    try:
        found = find_partition(image, report.topic_id, report.partition)
        _check(found, broker_id, report)
    except StreamkeepError as error:
        outcome.error.CopyFrom(to_proto(error))
        return outcome
    if report.damaged:
        standing = _without(image, found, broker_id)
        outcome.may_copy_anew = standing is not None
        if standing is not None and found.partition not in changes:
            changes.stand(Change(found.partition, standing, anew=True))
    return outcome


def _check(found: Found, broker_id: int, report: ReplicaReport) -> None:
    partition = found.partition
    if broker_id not in partition.replicas:
        raise ReplicaNotAvailableError(f"broker {broker_id} has no replica of {found.name}")
    if report.partition_epoch != partition.partition_epoch:
        raise StalePartitionEpochError(f"{found.name} is at partition epoch {partition.partition_epoch}")
    if not report.damaged and broker_id not in partition.last_members:
        raise ElectionNotNeededError(f"{found.name} does not wait for broker {broker_id}")


def _without(image: ClusterImage, found: Found, broker_id: int) -> Standing | None:
    """How the partition stands without the damaged replica; None if nobody else has its data."""
    isr = tuple(each for each in found.partition.isr if each != broker_id)
    elr = tuple(each for each in found.partition.elr if each != broker_id)
    if not isr and not elr:
        return None
    standing = elect(
        image,
        found.partition._replace(isr=isr, elr=elr),
        min_insync_replicas=min_insync_replicas(found.topic),
        unclean=is_unclean_allowed(found.topic),
    )
    return standing if standing.isr or standing.elr else None

"""What operators can see of replication: who is in sync, who lags, what moves.

Alert on under_replicated_partitions, under_min_isr_partitions and offline_replicas that stay above 0.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from streamkeep_broker.replication.following.following_replicas import FollowingReplicas
from streamkeep_broker.replication.following.state import Lane
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_common.image import ImageDelta, PartitionImage
from streamkeep_common.server.metrics import Metrics


class _Standing(NamedTuple):
    """How a led partition stands, as what is added to each gauge."""

    under_replicated: int
    under_min_isr: int
    at_min_isr: int


class ReplicaMetrics:
    """Counters over image changes and pushes, and gauges over the hosted replicas."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        counter, gauge = metrics.counter, metrics.gauge
        self._pushed_bytes = counter("pushed_bytes", "Log bytes pushed to followers")
        self._followed_bytes = counter("followed_bytes", "Log bytes taken from leaders")
        self._cuts = counter("log_cuts", "Logs of followers that parted from their leader's and were cut")
        self._corrupt_pushes = counter(
            "corrupt_pushes", "Pushes of leaders that came other than they were sent"
        )
        self._push_streams = gauge("push_streams", "Open streams of followers")
        self._shrinks = counter("isr_shrinks", "In-sync sets of led partitions that lost a member")
        self._expands = counter("isr_expands", "In-sync sets of led partitions that gained a member")
        self._failed_updates = counter("failed_isr_updates", "Proposed in-sync sets that were not accepted")
        self._elections = counter("leader_elections", "New leader epochs of hosted partitions")
        self._under_replicated = gauge(
            "under_replicated_partitions", "Led partitions of which a replica is not in sync"
        )
        self._under_min_isr = gauge(
            "under_min_isr_partitions", "Led partitions that take no writes: too few replicas are in sync"
        )
        self._at_min_isr = gauge(
            "at_min_isr_partitions", "Led partitions that take no writes once one more replica fails"
        )

    # --- what happens ---

    def replicated(self, size_bytes: int) -> None:
        """Frames were pushed to a follower."""
        self._pushed_bytes.inc(size_bytes)

    def replication_streams(self, count: int) -> None:
        """So many streams of followers are open."""
        self._push_streams.set(count)

    def followed(self, size_bytes: int) -> None:
        """Frames of a leader were written."""
        self._followed_bytes.inc(size_bytes)

    def cut(self) -> None:
        """A log parted from its leader's, and is cut back or begun anew."""
        self._cuts.inc()

    def push_was_corrupt(self) -> None:
        """A push came other than it was sent."""
        self._corrupt_pushes.inc()

    def isr_updates_failed(self, count: int) -> None:
        """So many proposals were refused, or nobody knows what became of them."""
        self._failed_updates.inc(count)

    def image_changed(self, delta: ImageDelta, broker_id: int) -> None:
        """Count what an image change means for this broker's replicas."""
        for image in delta.changed_partitions:
            before = delta.before.partition(image.topic_id, image.partition)
            if before is not None and broker_id in image.replicas:
                self._count(before, image, broker_id)

    def _count(self, before: PartitionImage, after: PartitionImage, broker_id: int) -> None:
        if after.leader_epoch != before.leader_epoch:
            self._elections.inc()
        if after.leader != broker_id:
            return
        self._shrinks.inc(not set(before.isr) <= set(after.isr))
        self._expands.inc(not set(after.isr) <= set(before.isr))

    # --- what is ---

    def watch(self, partitions: Partitions, following: FollowingReplicas) -> None:
        """Show these at every scrape."""
        lag = self._metrics.gauge(
            "follower_max_lag_records", "The most acknowledged records that a replica here lacks", ("stream",)
        )
        for lane in Lane:
            lag.labels(lane.value).set_function(partial(following.max_lag, lane))
        self._metrics.before_render(lambda: self._refresh(partitions))
        self._metrics.gauge("offline_replicas", "Replicas that cannot be hosted").set_function(
            lambda: partitions.failed
        )

    def _refresh(self, partitions: Partitions) -> None:
        standings = [
            _standing(partition, image) for partition, image in partitions.images() if partition.leads
        ]
        self._under_replicated.set(sum(each.under_replicated for each in standings))
        self._under_min_isr.set(sum(each.under_min_isr for each in standings))
        self._at_min_isr.set(sum(each.at_min_isr for each in standings))


def _standing(partition: Partition, image: PartitionImage) -> _Standing:
    required = image.required_isr(partition.log.settings.min_insync_replicas)
    return _Standing(
        under_replicated=len(image.isr) < len(image.target_replicas),
        under_min_isr=len(image.isr) < required,
        at_min_isr=len(image.isr) == required < len(image.replicas),
    )

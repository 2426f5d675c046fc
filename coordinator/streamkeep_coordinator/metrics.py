"""What a coordinator measures, by Prometheus's conventions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from streamkeep_common.image import ClusterImage
from streamkeep_common.server.metrics import Metrics

COMMIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class CoordinatorMetrics:
    """Values of the image are read when they are asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.commit_seconds = metrics.histogram(
            "metadata_commit_seconds",
            "From a metadata command to its commit.",
            buckets=COMMIT_BUCKETS_S,
        )

    def observe(self, image: Callable[[], ClusterImage], open_sessions: Callable[[], int]) -> None:
        """Where the values come from."""
        self._metrics.collect_from(_ImageCollector(image, open_sessions))


class _ImageCollector:
    def __init__(self, image: Callable[[], ClusterImage], open_sessions: Callable[[], int]) -> None:
        self._image = image
        self._open_sessions = open_sessions

    def collect(self) -> Iterable[Metric]:
        image = self._image()
        fenced = sum(broker.fenced for broker in image.brokers.values())
        values = {
            "metadata_index": ("Index of the last committed metadata entry.", image.index),
            "topics": ("Topics in the cluster.", len(image.topics)),
            "partitions": ("Partitions in the cluster.", image.partition_count),
            "offline_partitions": ("Partitions without a leader.", image.offline_partition_count),
            "registered_brokers": ("Brokers that have ever registered.", len(image.brokers)),
            "fenced_brokers": ("Registered brokers that may not lead.", fenced),
            "active_sessions": ("Brokers whose session stream is open.", self._open_sessions()),
        }
        for name, (documentation, value) in values.items():
            yield GaugeMetricFamily(f"streamkeep_{name}", documentation, value=value)

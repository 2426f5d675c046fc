"""What a coordinator measures, by Prometheus's conventions."""

from __future__ import annotations

from collections.abc import Callable

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

    def watch(self, *, image: Callable[[], ClusterImage], open_sessions: Callable[[], int]) -> None:
        """Show these at every scrape."""
        values: dict[str, tuple[str, Callable[[], float]]] = {
            "metadata_index": ("Index of the last committed metadata entry.", lambda: image().index),
            "topics": ("Topics in the cluster.", lambda: len(image().topics)),
            "partitions": ("Partitions in the cluster.", lambda: image().partition_count),
            "offline_partitions": ("Partitions without a leader.", lambda: image().offline_partition_count),
            "registered_brokers": ("Brokers that have ever registered.", lambda: len(image().brokers)),
            "fenced_brokers": ("Registered brokers that may not lead.", lambda: _fenced(image())),
            "active_sessions": ("Brokers whose session stream is open.", open_sessions),
        }
        for name, (documentation, value) in values.items():
            self._metrics.gauge(name, documentation).set_function(value)


def _fenced(image: ClusterImage) -> int:
    return sum(broker.fenced for broker in image.brokers.values())

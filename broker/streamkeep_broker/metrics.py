"""What operators can see of a broker. What is known anyway is only asked for at a scrape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.metadata.session import Session
from streamkeep_broker.replica_metrics import ReplicaMetrics
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.services.budget import Budget
from streamkeep_common.server.metrics import Metrics
from streamkeep_proto.v1.broker_pb2 import OFFLINE, ONLINE, READ_ONLY, STALLED, LogDirState

_LATENCY_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 5, 10)


class BrokerMetrics:
    """Counters that the services drive, and gauges over the rest."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.replicas = ReplicaMetrics(metrics)
        self._produced_bytes = metrics.counter("produced_bytes", "Record bytes received from producers")
        self._produced_batches = metrics.counter("produced_batches", "Batches received from producers")
        self._fetched_bytes = metrics.counter("fetched_bytes", "Log bytes sent to consumers")
        self._follower_fetched_bytes = metrics.counter(
            "follower_fetched_bytes",
            "Of fetched_bytes, those of partitions that this broker follows: their readers are in its rack",
        )
        self._fetch_streams = metrics.gauge("fetch_streams", "Open fetch streams")
        self._produce_streams = metrics.gauge("produce_streams", "Open produce streams")
        self._produce_latency = metrics.histogram(
            "produce_latency_seconds",
            "From a produce request's arrival to its answer; of each response the batch that waited longest",
            buckets=_LATENCY_S,
        )
        self._flush_latency = metrics.histogram(
            "flush_latency_seconds", "What a group commit takes on the disk", buckets=_LATENCY_S
        )

    def flushed(self, seconds: float) -> None:
        """A flush was done."""
        self._flush_latency.observe(seconds)

    def produced(self, batches: int, size_bytes: int) -> None:
        """A request was read."""
        self._produced_batches.inc(batches)
        self._produced_bytes.inc(size_bytes)

    def answered(self, latency_s: float) -> None:
        """A produce response goes out."""
        self._produce_latency.observe(latency_s)

    def produce_streams(self, count: int) -> None:
        """So many produce streams are open."""
        self._produce_streams.set(count)

    def fetched(self, size_bytes: int) -> None:
        """Slices were read for a response."""
        self._fetched_bytes.inc(size_bytes)

    def fetched_from_follower(self, size_bytes: int) -> None:
        """Of what was read, that of partitions which this broker does not lead."""
        self._follower_fetched_bytes.inc(size_bytes)

    def fetch_streams(self, count: int) -> None:
        """So many fetch streams are open."""
        self._fetch_streams.set(count)

    def watch(self, *, partitions: Partitions, budget: Budget, session: Session) -> None:
        """Show these at every scrape."""
        gauge = self._metrics.gauge
        gauge("hosted_partitions", "Hosted partitions").set_function(lambda: len(partitions))
        gauge("led_partitions", "Partitions led by this broker").set_function(
            lambda: sum(partition.leads for partition in partitions)
        )
        gauge("waiting_batches", "Batches that wait for the high watermark").set_function(
            lambda: sum(partition.waiting for partition in partitions)
        )
        gauge("in_flight_bytes", "Bytes of produce requests not answered yet").set_function(
            lambda: budget.used_bytes
        )
        gauge("fenced", "1 while no coordinator counts on this broker").set_function(
            lambda: float(session.fenced)
        )

    def watch_directories(self, directories: Sequence[LogDirectory]) -> None:
        """Show the log directories: free room, and 1 for the state that each is in."""
        free = self._metrics.gauge("log_dir_free_bytes", "Free bytes of its file system", ("path",))
        state = self._metrics.gauge("log_dir_state", "1 for the state it is in", ("path", "state"))
        for directory in directories:
            free.labels(str(directory.path)).set_function(partial(_free_bytes, directory))
            for number in (ONLINE, READ_ONLY, STALLED, OFFLINE):
                labels = (str(directory.path), LogDirState.Name(number).lower())
                state.labels(*labels).set_function(partial(_is_in_state, directory, number))


def _free_bytes(directory: LogDirectory) -> float:
    return directory.space.free


def _is_in_state(directory: LogDirectory, state: LogDirState.ValueType) -> float:
    return float(directory.state == state)

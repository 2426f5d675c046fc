"""What a coordinator measures, by Prometheus's conventions. What exists anyway is read at each scrape."""

from __future__ import annotations

from collections.abc import Callable

from streamkeep_common.image import ClusterImage
from streamkeep_common.server.metrics import Metrics
from streamkeep_coordinator.consensus import Consensus, QuorumControl
from streamkeep_coordinator.metadata.election_kinds import ElectionKind
from streamkeep_coordinator.metadata.health import HealthCounter
from streamkeep_proto.v1.raft_pb2 import MEMBER_UNREACHABLE

COMMIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class CoordinatorMetrics:
    """`commit_seconds` and `activations` are told of what happens; the rest is shown once it is watched."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.commit_seconds = metrics.histogram(
            "metadata_commit_seconds",
            "From a metadata command to its commit.",
            buckets=COMMIT_BUCKETS_S,
        )
        self.elections = metrics.counter(
            "leader_elections",
            "Leaders elected while this coordinator was active: clean ones were in sync; eligible ones were "
            "not, and have all that was acknowledged; with unclean ones records may be lost.",
            ["kind"],
        )
        for kind in ElectionKind:
            self.elections.labels(kind.value)
        self.activations = metrics.counter(
            "activations", "Elections after which this coordinator was the active one."
        )

    def watch_image(self, image: Callable[[], ClusterImage], open_sessions: Callable[[], int]) -> None:
        """Show the cluster as this coordinator knows it, and its sessions."""
        self._show(
            {
                "metadata_index": ("Index of the last metadata entry applied.", lambda: image().index),
                "feature_level": ("The features in use.", lambda: image().feature_level),
                "topics": ("Topics in the cluster.", lambda: len(image().topics)),
                "partitions": ("Partitions in the cluster.", lambda: image().partition_count),
                "offline_partitions": (
                    "Partitions without a leader.",
                    lambda: image().offline_partition_count,
                ),
                "registered_brokers": ("Brokers that have ever registered.", lambda: len(image().brokers)),
                "fenced_brokers": ("Registered brokers that may not lead.", lambda: _fenced(image())),
                "active_sessions": ("Brokers whose session stream is open.", open_sessions),
            }
        )
        self._watch_health(image)

    def watch_quorum(self, consensus: Consensus, control: QuorumControl, *, role: Callable[[], str]) -> None:
        """Show the quorum as this coordinator sees it. `role` is its part in Raft, in a word."""
        self._show(
            {
                "active": ("1 if this coordinator decides for the cluster.", lambda: consensus.is_active),
                "raft_term": ("The newest term seen; each election begins one.", lambda: consensus.term),
                "raft_committed_index": (
                    "Index of the last entry known to be committed.",
                    lambda: consensus.committed_index,
                ),
            }
        )
        self._watch_members(control)
        self._watch_role(role)

    def _watch_health(self, image: Callable[[], ClusterImage]) -> None:
        counter = HealthCounter()
        self._show(
            {
                "under_replicated_partitions": (
                    "Partitions with a replica that is not in sync.",
                    lambda: counter.of(image()).under_replicated,
                ),
                "under_min_isr_partitions": (
                    "Partitions that acknowledge nothing, since too few replicas are in sync.",
                    lambda: counter.of(image()).under_min_isr,
                ),
                "reassigning_partitions": (
                    "Partitions whose replicas are being moved.",
                    lambda: counter.of(image()).reassigning,
                ),
            }
        )

    def _watch_members(self, control: QuorumControl) -> None:
        members = self._metrics.gauge("quorum_members", "Coordinators of the quorum.", ["kind"])
        unreachable = self._metrics.gauge("quorum_unreachable", "Members that do not answer.")
        lag = self._metrics.gauge("quorum_lag_entries", "Entries that a member lacks.", ["coordinator"])

        def refresh() -> None:
            seen = control.describe().members
            voters = sum(member.voter for member in seen)
            members.labels("voter").set(voters)
            members.labels("learner").set(len(seen) - voters)
            unreachable.set(sum(member.state == MEMBER_UNREACHABLE for member in seen))
            lag.clear()
            for member in seen:
                lag.labels(str(member.coordinator_id)).set(member.lag)

        self._metrics.before_render(refresh)

    def _watch_role(self, role: Callable[[], str]) -> None:
        gauge = self._metrics.gauge("raft_role", "1 for the role of this coordinator.", ["role"])

        def refresh() -> None:
            gauge.clear()
            gauge.labels(role()).set(1)

        self._metrics.before_render(refresh)

    def _show(self, values: dict[str, tuple[str, Callable[[], float]]]) -> None:
        for name, (documentation, value) in values.items():
            self._metrics.gauge(name, documentation).set_function(value)


def _fenced(image: ClusterImage) -> int:
    return sum(broker.fenced for broker in image.brokers.values())

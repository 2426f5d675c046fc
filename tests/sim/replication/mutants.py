"""Replication broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from streamkeep_broker.replication.followers import Followers
from streamkeep_broker.replication.following.cuts import CutTo
from streamkeep_broker.replication.following.replica import FollowingReplica
from streamkeep_broker.replication.isr_changes import Candidate
from streamkeep_broker.replication.leadership import Leadership
from streamkeep_broker.replication.progress import FollowerProgress
from streamkeep_common.image import ClusterImage, PartitionImage, Standing, TopicImage
from streamkeep_coordinator.metadata import alter_partitions, elections, settle
from streamkeep_coordinator.metadata.alter_partitions import _Altering
from streamkeep_proto.v1.coordinator_pb2 import InSyncMember
from streamkeep_proto.v1.replication_pb2 import FollowStart
from tests.sim.mutant import Mutant, look_with
from tests.sim.replication.story import run_seed


def in_the_simulated_cluster(seed: int) -> str:
    return look_with(run_seed, seed)


@contextmanager
def acknowledge_before_flush() -> Iterator[None]:
    """A leader counts what a follower has in its log as if that was on its disk."""

    def acknowledged_end(self: FollowerProgress, _durability: str) -> int:
        return self.log_end_offset

    with patch.object(FollowerProgress, "acknowledged_end", acknowledged_end):
        yield


@contextmanager
def elect_outside_the_isr() -> Iterator[None]:
    """Whoever lives may lead rather than nobody, as Kafka did by default until 0.11."""
    rightly = elections.elect

    def elect(image: ClusterImage, partition: PartitionImage, **options: Any) -> Standing:
        return rightly(image, partition, **{**options, "unclean": True})

    with ExitStack() as stack:
        for module in (settle, alter_partitions):
            stack.enter_context(patch.object(module, "elect", elect))
        yield


@contextmanager
def truncate_to_the_high_watermark() -> Iterator[None]:
    """Whoever begins to follow cuts what lies above its watermark, as Kafka did before KIP-101."""
    rightly = FollowingReplica.start
    cut_in: dict[FollowingReplica, int] = {}

    def start(self: FollowingReplica, subscription: int) -> FollowStart | None:
        log, state = self._log, self._state
        if cut_in.get(self) == state.leader_epoch or log.log_end_offset <= log.high_watermark or log.defects:
            return rightly(self, subscription)
        cut_in[self] = state.leader_epoch
        self._leave_stream(None)
        self._carry_out(state._cut(CutTo(log.high_watermark)))
        return None

    with patch.object(FollowingReplica, "start", start):
        yield


@contextmanager
def forget_producers() -> Iterator[None]:
    """A new leader knows nothing of the producers whose batches it has, and takes any sequence for new."""
    rightly = Leadership.__init__

    def begin(self: Leadership, *arguments: Any, **named: Any) -> None:
        rightly(self, *arguments, **named)
        self._log.producers._states.clear()

    with patch.object(Leadership, "__init__", begin):
        yield


@contextmanager
def count_fenced_followers() -> Iterator[None]:
    """Whoever follows is let into the in-sync set, whether the coordinators count on its broker or not."""
    candidate, trouble = Followers._candidate, _Altering._trouble

    def as_if_live(self: Followers, *arguments: Any) -> Candidate:
        return candidate(self, *arguments)._replace(live=True)

    def trouble_but_fencing(self: _Altering, current: PartitionImage, member: InSyncMember) -> str | None:
        told = trouble(self, current, member)
        return None if told == "is fenced" else told

    def as_proposed(self: _Altering, _topic: TopicImage, current: PartitionImage, isr: Any) -> Standing:
        members = tuple(each for each in current.replicas if each in isr)
        return Standing(members, (), current.leader)

    with (
        patch.object(Followers, "_candidate", as_if_live),
        patch.object(_Altering, "_trouble", trouble_but_fencing),
        patch.object(_Altering, "_standing", as_proposed),
    ):
        yield


MUTANTS = (
    Mutant(
        "acknowledge-before-flush",
        "records are acknowledged before followers have flushed them",
        acknowledge_before_flush,
        in_the_simulated_cluster,
    ),
    Mutant(
        "elect-outside-isr",
        "a replica that is neither in sync nor eligible is elected",
        elect_outside_the_isr,
        in_the_simulated_cluster,
    ),
    Mutant(
        "truncate-to-watermark",
        "followers truncate to their high watermark",
        truncate_to_the_high_watermark,
        in_the_simulated_cluster,
    ),
    Mutant(
        "forget-producers",
        "the dedup table is forgotten at a leader change",
        forget_producers,
        in_the_simulated_cluster,
    ),
    Mutant(
        "count-fenced-follower",
        "a fenced follower is let into the in-sync set",
        count_fenced_followers,
        in_the_simulated_cluster,
    ),
)

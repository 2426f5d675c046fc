"""What a plan moves, before or while it is carried out: from where to where, and how many bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamctl.failures import CommandError, exit_code_for
from streamctl.invocation import Invocation
from streamctl.output import Cell, Table, counted, emit, note
from streamctl.partitions import size_text
from streamkeep import TopicPartition
from streamkeep_common.errors import from_proto
from streamkeep_common.limits import MAX_MOVES_PER_REQUEST

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.coordinator_pb2 import ReassignmentOutcome


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """One partition of a plan, and the bytes that are copied for it; None if nobody tells how large it is."""

    outcome: ReassignmentOutcome
    size_bytes: int | None

    @property
    def error(self) -> str | None:
        return from_proto(self.outcome.error).message if self.outcome.HasField("error") else None

    @property
    def is_final(self) -> bool:
        """It cannot be done later either."""
        return self.outcome.HasField("error") and not from_proto(self.outcome.error).retriable

    def fields(self) -> dict[str, object]:
        return {
            "topic": self.outcome.topic,
            "partition": self.outcome.partition,
            "from": list(self.outcome.from_replicas),
            "to": list(self.outcome.to_replicas),
            "copies": list(self.outcome.copies),
            "bytes": self.size_bytes,
            "error": self.error,
        }

    def row(self) -> tuple[Cell, ...]:
        return (
            self.outcome.topic,
            self.outcome.partition,
            list(self.outcome.from_replicas),
            list(self.outcome.to_replicas),
            list(self.outcome.copies),
            None if self.size_bytes is None else size_text(self.size_bytes),
            self.error,
        )


async def planned(cluster: Cluster, outcomes: Sequence[ReassignmentOutcome]) -> list[PlannedMove]:
    """With what they copy: for each new replica as much as the largest log of the partition holds."""
    sizes = await cluster.admin.replica_sizes() if any(each.copies for each in outcomes) else {}
    moves = []
    for outcome in outcomes:
        held = sizes.get(TopicPartition(outcome.topic, outcome.partition), {})
        largest = max((each.size_bytes for each in held.values()), default=None)
        size = None if largest is None else largest * len(outcome.copies)
        moves.append(PlannedMove(outcome, size if outcome.copies else 0))
    return moves


async def resize(
    cluster: Cluster, topic: str, replication_factor: int, *, validate_only: bool
) -> list[PlannedMove]:
    """All partitions of a topic to more or fewer replicas; if that is only validated, the first 1000."""
    outcomes = await all_outcomes(
        lambda: cluster.admin.set_replication_factor(topic, replication_factor, validate_only=validate_only),
        validate_only=validate_only,
    )
    return await planned(cluster, outcomes)


async def all_outcomes(
    ask: Callable[[], Awaitable[Sequence[ReassignmentOutcome]]], *, validate_only: bool
) -> list[ReassignmentOutcome]:
    """Ask until nothing is left, since one request moves 1000 partitions at most; if that is only validated,
    the first 1000. Ends, too, when nothing of an answer can be moved.

    One outcome a partition, the last: what cannot be moved is in the answer to each request.
    """
    outcomes: dict[tuple[str, int], ReassignmentOutcome] = {}
    while True:
        some = await ask()
        outcomes |= {(each.topic, each.partition): each for each in some}
        is_last = len(some) < MAX_MOVES_PER_REQUEST or all(each.HasField("error") for each in some)
        if validate_only or is_last:
            return list(outcomes.values())


def show_plan(invocation: Invocation, moves: Sequence[PlannedMove], *, is_dry: bool) -> None:
    """The moves on stdout, and what they come to on stderr."""
    if moves or invocation.is_data:
        emit(invocation, [move.fields() for move in moves], plan_table(moves))
    note(plan_summary(moves, is_dry=is_dry))
    if changing := _changing_directories(moves):
        note(
            f"{counted(changing, 'replica')} will be out of sync while copied to another log directory. What "
            "the old directory has stays there under a name that ends with .misplaced: remove it when the "
            "replica is in sync again."
        )


def note_if_cut(moves: Sequence[PlannedMove]) -> None:
    """Say of a plan that was validated by one request that it may be longer than that."""
    if len(moves) == MAX_MOVES_PER_REQUEST:
        note(f"One request plans {MAX_MOVES_PER_REQUEST} partitions at most: more may follow.")


def _changing_directories(moves: Sequence[PlannedMove]) -> int:
    """Replicas that are copied within their broker."""
    return sum(broker in move.outcome.from_replicas for move in moves for broker in move.outcome.copies)


def plan_table(moves: Sequence[PlannedMove]) -> Table:
    """A row a partition; what cannot be moved says why."""
    columns = ("TOPIC", "PARTITION", "FROM", "TO", "COPIED BY", "BYTES", "ERROR")
    shown = len(columns) if any(move.error for move in moves) else len(columns) - 1
    return Table(columns[:shown], [move.row()[:shown] for move in moves])


def plan_summary(moves: Sequence[PlannedMove], *, is_dry: bool) -> str:
    """`Would move 3 partitions, copying 1.5 GiB.`"""
    done = [move for move in moves if move.error is None]
    sizes = [move.size_bytes for move in done if move.size_bytes is not None]
    unknown = f", and {len(done) - len(sizes)} of unknown size" if len(sizes) < len(done) else ""
    verb = "Would move" if is_dry else "Moving"
    return f"{verb} {counted(len(done), 'partition')}, copying {size_text(sum(sizes))}{unknown}."


def check_plan(moves: Sequence[PlannedMove], *, only_final: bool = False) -> None:
    """CommandError if anything of it cannot be done; with `only_final` if it cannot be done later either."""
    failed = [move for move in moves if move.is_final or (move.error is not None and not only_final)]
    if failed:
        first = failed[0].outcome
        errors = [from_proto(move.outcome.error) for move in failed]
        raise CommandError(
            f"{len(failed)} of {counted(len(moves), 'partition')} cannot be moved; "
            f"{first.topic}:{first.partition}: {errors[0]}",
            exit_code_for(errors),
        )

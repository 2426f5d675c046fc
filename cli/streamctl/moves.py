"""Moves of replicas that are under way: how far they are, and when they are done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamctl.failures import CommandError, ExitCode
from streamctl.output import Table, counted, note
from streamctl.partitions import brokers_text, size_text
from streamctl.progress import Stall, progress_bar

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamctl.invocation import Invocation
    from streamctl.planned import PlannedMove
    from streamkeep.admin.placement import Reassignment
    from streamkeep_proto.v1.broker_pb2 import LogDirReplica

LOOK_S = 0.5
"""Between two looks at moves that are under way."""


@dataclass(frozen=True, slots=True)
class Copying:
    """A move that is under way, and how much of it is copied, of the leader's log times the brokers that copy
    it. Both are 0 while nobody tells."""

    move: Reassignment
    copied_bytes: int
    total_bytes: int

    @property
    def percent(self) -> int | None:
        return self.copied_bytes * 100 // self.total_bytes if self.total_bytes else None


async def moves_under_way(cluster: Cluster, topics: Iterable[str] = ()) -> list[Copying]:
    """With what is copied, as far as leaders and copying brokers tell."""
    moves = await cluster.admin.list_reassignments(topics)
    if not moves:
        return []
    brokers = {broker for move in moves for broker in (move.leader, *move.adding) if broker}
    sizes = await cluster.admin.replica_sizes(brokers)
    return [_copying(move, sizes.get(move.topic_partition, {})) for move in moves]


def _copying(move: Reassignment, held: Mapping[int, LogDirReplica]) -> Copying:
    if move.leader not in held:
        return Copying(move, 0, 0)
    whole = held[move.leader].size_bytes
    copied = sum(
        whole if broker in move.isr else min(held[broker].size_bytes, whole)
        for broker in move.adding
        if broker in held
    )
    return Copying(move, copied, whole * len(move.adding))


def copying_fields(copying: Copying) -> dict[str, object]:
    move = copying.move
    return {
        "topic": move.topic_partition.topic,
        "partition": move.topic_partition.partition,
        "leader": move.leader or None,
        "target": list(move.target),
        "adding": list(move.adding),
        "removing": list(move.removing),
        "isr": list(move.isr),
        "copied_bytes": copying.copied_bytes,
        "total_bytes": copying.total_bytes,
    }


def copying_table(moves: Sequence[Copying]) -> Table:
    columns = ("TOPIC", "PARTITION", "LEADER", "TARGET", "ADDING", "REMOVING", "ISR", "COPIED")
    rows = [
        (
            each.move.topic_partition.topic,
            each.move.topic_partition.partition,
            each.move.leader or None,
            each.move.target,
            each.move.adding,
            each.move.removing,
            each.move.isr,
            None if each.percent is None else f"{each.percent} % of {size_text(each.total_bytes)}",
        )
        for each in moves
    ]
    return Table(columns, rows)


async def until_moved(
    cluster: Cluster, partitions: Iterable[tuple[str, int]], *, stall_timeout_s: float
) -> None:
    """Return when none of them is being moved any more.

    CommandError when nothing has been copied for the time given; the moves themselves go on.
    """
    wanted = set(partitions)
    topics = sorted({topic for topic, _ in wanted})
    stall = Stall(stall_timeout_s)
    left = len(wanted)
    with progress_bar("partitions moved", len(wanted)) as advance:
        while True:
            moves = await moves_under_way(cluster, topics)
            moves = [each for each in moves if each.move.topic_partition in wanted]
            advance(left - len(moves))
            left = len(moves)
            if not moves:
                return
            if stall.is_over(left, sum(each.copied_bytes for each in moves)):
                raise CommandError(_stalled(moves, stall_timeout_s), ExitCode.UNAVAILABLE)
            await asyncio.sleep(LOOK_S)


async def until_all_moved(invocation: Invocation, cluster: Cluster, moves: Iterable[PlannedMove]) -> None:
    """Return when what has begun is done, at once if nothing has; --timeout bounds a standstill."""
    begun = [(move.outcome.topic, move.outcome.partition) for move in moves if move.error is None]
    if not begun:
        return
    await until_moved(cluster, begun, stall_timeout_s=invocation.stall_timeout_s)
    note("All replicas are copied.")


def _stalled(left: Sequence[Copying], stall_timeout_s: float) -> str:
    first = left[0].move
    waiting = [broker for broker in first.target if broker not in first.isr]
    return (
        f"nothing was copied for {stall_timeout_s:.0f} s, with {counted(len(left), 'partition')} still being "
        f"moved: {first.topic_partition} waits for {brokers_text(waiting)} to be in sync. The moves go on; "
        f"`streamctl partition reassignments` shows them, `streamctl partition cancel` goes back"
    )


async def throttle(cluster: Cluster, topics: Iterable[str], rate: str) -> None:
    """Bound how fast replicas that are far behind are sent the records of these topics."""
    for topic in topics:
        await cluster.admin.alter_topic_settings(topic, set={"catch_up_rate_bytes": rate})
        note(
            f"Copies of topic '{topic}' take at most {rate} a second for each partition from now on; "
            f"`streamctl topic alter {topic} --unset catch_up_rate_bytes` ends that."
        )

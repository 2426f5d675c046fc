"""A broker emptied: no new replicas for it, and those that it has to others, until none is left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamctl.failures import CommandError, ExitCode
from streamctl.moves import LOOK_S, moves_under_way
from streamctl.output import counted
from streamctl.planned import PlannedMove, all_outcomes, planned
from streamctl.progress import Stall, progress_bar
from streamkeep_common.errors import from_proto

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.coordinator_pb2 import BrokerInfo, ReassignmentOutcome


async def find_broker(cluster: Cluster, broker_id: int) -> BrokerInfo:
    """CommandError if there is no such broker."""
    brokers = (await cluster.admin.describe_cluster()).brokers
    for broker in brokers:
        if broker.broker_id == broker_id:
            return broker
    ids = ", ".join(str(broker.broker_id) for broker in brokers) or "none"
    raise CommandError(f"there is no broker {broker_id}; there are {ids}", ExitCode.NOT_FOUND)


async def draining_plan(cluster: Cluster, broker_id: int) -> list[PlannedMove]:
    """What would be moved first; one request moves 1000 partitions at most."""
    return await planned(cluster, await cluster.admin.empty_broker(broker_id, validate_only=True))


async def begin_draining(cluster: Cluster, broker_id: int) -> list[PlannedMove]:
    """Begin to move away all that the broker has."""
    outcomes = await all_outcomes(lambda: cluster.admin.empty_broker(broker_id), validate_only=False)
    return await planned(cluster, outcomes)


async def until_drained(cluster: Cluster, broker_id: int, *, stall_timeout_s: float) -> None:
    """Move away whatever the broker has, until it has nothing.

    CommandError if a replica has nowhere to go, or nothing has moved for the time given; moves go on.
    """
    stall = Stall(stall_timeout_s)
    left = (await find_broker(cluster, broker_id)).replicas
    with progress_bar("replicas moved away", left) as advance:
        while True:
            _check(broker_id, await cluster.admin.empty_broker(broker_id))
            moves = await moves_under_way(cluster)
            now = (await find_broker(cluster, broker_id)).replicas
            advance(max(left - now, 0))
            left = min(left, now)
            if not now:
                return
            if stall.is_over(now, sum(each.copied_bytes for each in moves)):
                raise CommandError(
                    f"broker {broker_id} still has {counted(now, 'replica')}, and nothing was moved for "
                    f"{stall_timeout_s:.0f} s; `streamctl partition reassignments` shows what is under way",
                    ExitCode.UNAVAILABLE,
                )
            await asyncio.sleep(LOOK_S)


def _check(broker_id: int, outcomes: list[ReassignmentOutcome]) -> None:
    """What is being moved by somebody else is waited for; what cannot be moved at all is told."""
    for outcome in outcomes:
        if outcome.HasField("error") and not (error := from_proto(outcome.error)).retriable:
            raise CommandError(
                f"broker {broker_id} cannot be emptied; {outcome.topic}:{outcome.partition}: {error}"
            )


async def until_fenced(cluster: Cluster, broker_id: int, *, timeout_s: float) -> None:
    """Return when the broker is stopped. CommandError if it still lives after the time given."""
    stall = Stall(timeout_s)
    while not (await find_broker(cluster, broker_id)).fenced:
        if stall.is_over():
            raise CommandError(
                f"broker {broker_id} is empty and still runs after {timeout_s:.0f} s: stop it, and run this "
                f"command again to forget it",
                ExitCode.UNAVAILABLE,
            )
        await asyncio.sleep(LOOK_S)

"""`streamctl cluster health|features`: whether all is well, and what the cluster could be raised to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import Invocation, cluster_options, pass_invocation
from streamctl.output import Table, counted, emit
from streamctl.watch import WatchedCommand, look, watch_option

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamctl.health import Problem
    from streamkeep_proto.v1.coordinator_pb2 import DescribeFeaturesResponse


@click.command(cls=WatchedCommand)
@click.option("--wait", is_flag=True, help="Return when it is healthy; give up after --timeout (30 s).")
@watch_option
@cluster_options
@pass_invocation
def health(invocation: Invocation, /, *, wait: bool, watch_s: float | None) -> None:
    """Tell what ails the cluster. Exit code 0 if nothing does, 10 if anything does, 4 if nobody answers.

    Looked at are the quorum, coordinators, brokers with their log directories, and partitions: leaders and
    in-sync replicas.

    \b
    streamctl cluster health || page-somebody
    streamctl cluster health --wait --timeout 120    after a restart
    """
    if wait and watch_s is not None:
        raise click.UsageError("--wait ends when all is well, --watch never: give one")
    if wait:
        found = _until_healthy(invocation)
        _show(invocation, found)
        _judge(found)
        return
    last: list[Problem] = []

    def show(found: list[Problem]) -> None:
        last[:] = found
        _show(invocation, found)

    look(invocation, watch_s, _examine, show)
    _judge(last)


async def _examine(cluster: Cluster) -> list[Problem]:
    import asyncio

    from streamctl.health import Findings, problems

    described, quorum, topics = await asyncio.gather(
        cluster.admin.describe_cluster(), cluster.quorum(), cluster.admin.describe_topics()
    )
    alive = [broker.broker_id for broker in described.brokers if not broker.fenced]
    dirs = await cluster.admin.describe_all_log_dirs(alive) if alive else {}
    return problems(Findings(quorum, described.brokers, topics, dirs))


def _until_healthy(invocation: Invocation) -> list[Problem]:
    """The last look: nothing, or what still ails it when time is up."""
    import asyncio

    from streamctl.cluster import ask
    from streamctl.moves import LOOK_S
    from streamkeep import StreamkeepError
    from streamkeep_common.seams.real.clock import RealClock

    clock = RealClock()
    deadline_s = clock.monotonic() + invocation.stall_timeout_s

    async def work(cluster: Cluster) -> list[Problem]:
        while True:
            try:
                found = await _examine(cluster)
            except StreamkeepError as error:
                if not error.retriable or clock.monotonic() > deadline_s:
                    raise
                continue
            if not found or clock.monotonic() > deadline_s:
                return found
            await asyncio.sleep(LOOK_S)

    return ask(invocation, work)


def _show(invocation: Invocation, found: list[Problem]) -> None:
    from streamctl.health import health_fields, health_table

    if found or invocation.is_data:
        emit(invocation, health_fields(found), health_table(found))
    else:
        click.echo("healthy")


def _judge(found: list[Problem]) -> None:
    if found:
        raise CommandError(f"the cluster has {counted(len(found), 'problem')}", ExitCode.UNHEALTHY)


# --- features ---


@click.command()
@cluster_options
@pass_invocation
def features(invocation: Invocation, /) -> None:
    """Show the feature level, what each level brings, and which process stands in the way of the next.

    `cluster upgrade` raises it.
    """
    from streamctl.cluster import ask

    found = ask(invocation, lambda cluster: cluster.admin.describe_features())
    data = {
        "level": found.level,
        "supported_level": found.supported_level,
        "processes": [
            {
                "role": each.role,
                "id": each.id,
                "address": each.address,
                "min_level": each.min_level,
                "max_level": each.max_level,
            }
            for each in found.processes
        ],
        "levels": [{"level": each.level, "documentation": each.documentation} for each in found.levels],
    }
    processes = [
        (each.role, each.id, each.address, each.min_level, each.max_level) for each in found.processes
    ]
    levels = [(each.level, _use_of(each.level, found), each.documentation) for each in found.levels]
    emit(
        invocation,
        data,
        Table(("PROCESS", "ID", "ADDRESS", "FROM LEVEL", "TO LEVEL"), processes),
        Table(("LEVEL", "USE", "BRINGS"), levels),
    )


def _use_of(level: int, found: DescribeFeaturesResponse) -> str:
    if level <= found.level:
        return "in use"
    return "can be" if level <= found.supported_level else "not by all"


COMMANDS = (health, features)

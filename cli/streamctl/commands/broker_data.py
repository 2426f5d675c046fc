"""`streamctl broker list|describe|drain|undrain|decommission`: the brokers of a cluster that runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from streamctl.completion import brokers as complete_broker
from streamctl.invocation import (
    MAX_ID,
    Invocation,
    cluster_options,
    dry_run_option,
    pass_invocation,
    yes_option,
)
from streamctl.output import Table, confirm, counted, emit, note

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.broker_pb2 import LogDir
    from streamkeep_proto.v1.coordinator_pb2 import BrokerInfo

_id = click.argument("number", type=click.IntRange(1, MAX_ID), metavar="ID", shell_complete=complete_broker)
_wait = click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Return when it is empty; fails when nothing is moved for --timeout (30 s).",
)


@click.command("list")
@cluster_options
@pass_invocation
def list_(invocation: Invocation, /) -> None:
    """List the brokers, how they are, and what they have."""
    from streamctl.cluster import ask

    found = ask(invocation, lambda cluster: cluster.admin.describe_cluster())
    data = [_fields(broker) for broker in found.brokers]
    emit(invocation, data, _table(found.brokers))


def _fields(broker: BrokerInfo) -> dict[str, object]:
    return {
        "id": broker.broker_id,
        "address": broker.address,
        "state": _state(broker),
        "draining": broker.draining,
        "rack": broker.rack or None,
        "epoch": broker.broker_epoch,
        "replicas": broker.replicas,
        "leaders": broker.leaders,
    }


def _table(brokers: Sequence[BrokerInfo]) -> Table:
    columns = ("BROKER", "ADDRESS", "STATE", "RACK", "EPOCH", "REPLICAS", "LEADERS")
    rows = [
        (
            each.broker_id,
            each.address,
            f"{_state(each)}, draining" if each.draining else _state(each),
            each.rack or None,
            each.broker_epoch,
            each.replicas,
            each.leaders,
        )
        for each in brokers
    ]
    return Table(columns, rows)


def _state(broker: BrokerInfo) -> str:
    return "fenced" if broker.fenced else "up"


@click.command()
@_id
@cluster_options
@pass_invocation
def describe(invocation: Invocation, /, *, number: int) -> None:
    """Show a broker and its log directories."""
    from streamctl.cluster import ask
    from streamctl.draining import find_broker
    from streamkeep import StreamkeepError

    async def work(cluster: Cluster) -> tuple[BrokerInfo, list[LogDir] | StreamkeepError]:
        return await find_broker(cluster, number), (await cluster.admin.describe_all_log_dirs([number]))[
            number
        ]

    found, dirs = ask(invocation, work)
    told = [] if isinstance(dirs, StreamkeepError) else dirs
    data = _fields(found) | {"log_dirs": [_directory_fields(each) for each in told]}
    emit(invocation, data, _table([found]), *([_directories_table(told)] if told else []))
    if isinstance(dirs, StreamkeepError):
        note(f"Its log directories are not known: {dirs}")


def _directory_fields(directory: LogDir) -> dict[str, object]:
    return {
        "path": directory.path,
        "id": directory.directory_id.hex(),
        "state": _directory_state(directory),
        "reason": directory.reason or None,
        "replicas": len(directory.replicas),
        "used_bytes": sum(each.size_bytes for each in directory.replicas),
        "free_bytes": directory.free_bytes,
        "total_bytes": directory.total_bytes,
    }


def _directories_table(dirs: Sequence[LogDir]) -> Table:
    from streamctl.partitions import size_text

    columns = ("LOG DIRECTORY", "ID", "STATE", "REPLICAS", "USED", "FREE")
    rows = [
        (
            each.path,
            each.directory_id.hex(),
            f"{_directory_state(each)}: {each.reason}" if each.reason else _directory_state(each),
            len(each.replicas),
            size_text(sum(replica.size_bytes for replica in each.replicas)),
            size_text(each.free_bytes),
        )
        for each in dirs
    ]
    return Table(columns, rows)


def _directory_state(directory: LogDir) -> str:
    from streamkeep_proto.v1.broker_pb2 import LogDirState

    return LogDirState.Name(directory.state).lower().replace("_", "-")


@click.command()
@_id
@_wait
@dry_run_option
@cluster_options
@pass_invocation
def drain(invocation: Invocation, /, *, number: int, wait: bool, dry_run: bool) -> None:
    """Move everything that a broker has to others, and give it nothing new until `undrain`.

    \b
    streamctl broker drain 3 --dry-run     what would be copied, and how much
    streamctl broker drain 3
    """
    from streamctl.cluster import ask

    async def work(cluster: Cluster) -> None:
        if dry_run:
            await _plan(invocation, cluster, number)
        else:
            await _drain(invocation, cluster, number, wait=wait)

    ask(invocation, work)


async def _plan(invocation: Invocation, cluster: Cluster, number: int) -> None:
    from streamctl.draining import draining_plan, find_broker
    from streamctl.planned import check_plan, note_if_cut, show_plan
    from streamkeep_common.limits import MAX_MOVES_PER_REQUEST

    broker = await find_broker(cluster, number)
    moves = await draining_plan(cluster, number)
    show_plan(invocation, moves, is_dry=True)
    note_if_cut(moves)
    if len(moves) < min(broker.replicas, MAX_MOVES_PER_REQUEST):
        note(f"Broker {number} has {counted(broker.replicas, 'replica')}: the others are on their way.")
    check_plan(moves, only_final=True)


async def _drain(invocation: Invocation, cluster: Cluster, number: int, *, wait: bool) -> None:
    from streamctl.draining import begin_draining, draining_plan, find_broker, until_drained
    from streamctl.planned import check_plan, note_if_cut, plan_summary

    await find_broker(cluster, number)
    moves = await draining_plan(cluster, number)
    check_plan(moves, only_final=True)
    await cluster.admin.drain_broker(number)
    note(f"Broker {number} gets no new replicas.")
    if not wait:
        moves = await begin_draining(cluster, number)
        note(plan_summary(moves, is_dry=False))
        check_plan(moves)  # nobody asks again for what could not be moved now
        return
    note(plan_summary(moves, is_dry=False))
    note_if_cut(moves)
    await until_drained(cluster, number, stall_timeout_s=invocation.stall_timeout_s)
    note(f"Broker {number} is empty.")


@click.command()
@_id
@dry_run_option
@cluster_options
@pass_invocation
def undrain(invocation: Invocation, /, *, number: int, dry_run: bool) -> None:
    """Let a broker get replicas again. Moves that are under way go on; `partition cancel` stops them."""
    from streamctl.cluster import ask
    from streamctl.draining import find_broker

    async def work(cluster: Cluster) -> None:
        await find_broker(cluster, number)
        await cluster.admin.drain_broker(number, draining=False, validate_only=dry_run)

    ask(invocation, work)
    note(f"Broker {number} {'would get' if dry_run else 'gets'} new replicas again.")


@click.command()
@_id
@yes_option
@dry_run_option
@cluster_options
@pass_invocation
def decommission(invocation: Invocation, /, *, number: int, yes: bool, dry_run: bool) -> None:
    """Take a broker out of the cluster for good: empty it, wait until it is stopped, forget it.

    When it is empty the command says so: stop the process then. Run again, the command goes on where it was.
    """
    from streamctl.cluster import ask

    async def work(cluster: Cluster) -> None:
        if dry_run:
            await _plan(invocation, cluster, number)
            return
        await _drain(invocation, cluster, number, wait=True)
        await _forget(invocation, cluster, number)

    if not dry_run:
        confirm(f"Empty broker {number}, and forget it?", yes=yes)
    ask(invocation, work)


async def _forget(invocation: Invocation, cluster: Cluster, number: int) -> None:
    from streamctl.draining import find_broker, until_fenced

    if not (await find_broker(cluster, number)).fenced:
        note(f"Stop broker {number} now: it is forgotten as soon as it is gone.")
        await until_fenced(cluster, number, timeout_s=invocation.stall_timeout_s)
    await cluster.admin.remove_broker(number)
    note(f"Broker {number} is no part of the cluster any more.")


COMMANDS = (list_, describe, drain, undrain, decommission)

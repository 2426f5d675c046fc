"""`streamctl broker list|describe`: the brokers of a cluster that runs, and their log directories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from streamctl.completion import brokers as complete_broker
from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import MAX_ID, Invocation, cluster_options, list_options, pass_invocation
from streamctl.output import Table, emit, note
from streamctl.watch import WatchedCommand, look, watch_option

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.broker_pb2 import LogDir
    from streamkeep_proto.v1.coordinator_pb2 import BrokerInfo

broker_argument = click.argument(
    "number", type=click.IntRange(1, MAX_ID), metavar="ID", shell_complete=complete_broker
)


@click.command("list", cls=WatchedCommand)
@watch_option
@list_options
@pass_invocation
def list_(invocation: Invocation, /, *, watch_s: float | None) -> None:
    """List the brokers, how they are, and what they have."""

    async def find(cluster: Cluster) -> Sequence[BrokerInfo]:
        return (await cluster.admin.describe_cluster()).brokers

    def show(brokers: Sequence[BrokerInfo]) -> None:
        data = [_fields(broker) for broker in brokers]
        emit(invocation, data, _table(brokers), names=[broker.broker_id for broker in brokers])

    look(invocation, watch_s, find, show)


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
@broker_argument
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


@click.command("log-dirs")
@click.argument(
    "numbers", type=click.IntRange(1, MAX_ID), metavar="[ID]...", nargs=-1, shell_complete=complete_broker
)
@list_options
@pass_invocation
def log_dirs(invocation: Invocation, /, *, numbers: tuple[int, ...]) -> None:
    """Show the log directories of brokers, of all if none is named. Exit code 4 if one does not tell."""
    from streamctl.cluster import ask
    from streamctl.draining import find_broker
    from streamkeep import StreamkeepError

    async def work(cluster: Cluster) -> dict[int, list[LogDir] | StreamkeepError]:
        for number in numbers:
            await find_broker(cluster, number)
        return await cluster.admin.describe_all_log_dirs(numbers)

    told = ask(invocation, work)
    known = {broker: dirs for broker, dirs in told.items() if not isinstance(dirs, StreamkeepError)}
    each = [(broker, directory) for broker, dirs in known.items() for directory in dirs]
    data = [{"broker": broker, **_directory_fields(directory)} for broker, directory in each]
    emit(invocation, data, _all_directories_table(each), names=[directory.path for _, directory in each])
    if silent := {broker: dirs for broker, dirs in told.items() if isinstance(dirs, StreamkeepError)}:
        said = "; ".join(f"broker {broker}: {error}" for broker, error in silent.items())
        raise CommandError(f"not all brokers tell their log directories: {said}", ExitCode.UNAVAILABLE)


def _all_directories_table(each: Sequence[tuple[int, LogDir]]) -> Table:
    table = _directories_table([directory for _, directory in each])
    rows = [(broker, *row) for (broker, _), row in zip(each, table.rows, strict=True)]
    return Table(("BROKER", *table.columns), rows)


COMMANDS = (list_, describe, log_dirs)

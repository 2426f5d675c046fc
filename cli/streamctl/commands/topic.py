"""`streamctl topic`: create, list, describe, alter and delete topics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import click

from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, cluster_options, named_values, pass_invocation
from streamctl.output import Cell, Table, confirm, emit, note

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo, TopicInfo, TopicOutcome

LogEnds = tuple[int | None, int | None]

_topic = click.argument("name", metavar="TOPIC")
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen, do nothing.")


def _settings(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    return named_values(values)


@click.group(cls=NounGroup)
def topic() -> None:
    """Create, list, describe, alter and delete topics."""


@topic.command()
@_topic
@click.option("--partitions", type=click.IntRange(1), help="How many.  [default: the cluster's, 6]")
@click.option(
    "--replication-factor", type=click.IntRange(1), help="Replicas of each.  [default: the cluster's]"
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="NAME=VALUE",
    help="A setting other than its default, as in retention_ms=1d; may repeat.",
)
@_dry_run
@cluster_options
@pass_invocation
def create(
    invocation: Invocation,
    /,
    *,
    name: str,
    partitions: int | None,
    replication_factor: int | None,
    settings: Mapping[str, str],
    dry_run: bool,
) -> None:
    """Create TOPIC and wait until it can be used."""
    from streamctl.cluster import ask

    outcome = ask(
        invocation,
        lambda cluster: cluster.admin.create_topic(
            name,
            partitions=partitions or 0,
            replication_factor=replication_factor or 0,
            settings=settings,
            validate_only=dry_run,
        ),
    )
    replicas = "1 replica" if outcome.replication_factor == 1 else f"{outcome.replication_factor} replicas"
    done = "Would create" if dry_run else "Created"
    note(f"{done} topic '{name}' with {outcome.partitions} partitions, {replicas} each.")
    if invocation.json:
        emit(invocation, _outcome_fields(outcome))


@topic.command("list")
@cluster_options
@pass_invocation
def list_(invocation: Invocation, /) -> None:
    """List the topics by name."""
    from streamctl.cluster import ask

    topics = ask(invocation, lambda cluster: cluster.admin.list_topics())
    data = [
        {
            "name": topic.name,
            "id": _id_text(topic.topic_id),
            "partitions": topic.partitions,
            "replication_factor": topic.replication_factor,
        }
        for topic in topics
    ]
    rows = [(topic.name, topic.partitions, topic.replication_factor) for topic in topics]
    emit(invocation, data, Table(("TOPIC", "PARTITIONS", "REPLICAS"), rows))


@topic.command()
@_topic
@cluster_options
@pass_invocation
def describe(invocation: Invocation, /, *, name: str) -> None:
    """Show partitions, offsets and settings of TOPIC.

    The high watermark is the offset of the next record to become readable.
    """
    from streamctl.cluster import ask

    found, offsets = ask(invocation, lambda cluster: _described(cluster, name))
    partitions = [
        _partition_fields(partition, offsets.get(partition.partition, (None, None)))
        for partition in found.partitions
    ]
    data = {
        "name": found.name,
        "id": _id_text(found.topic_id),
        "settings": {setting.name: setting.value for setting in found.settings},
        "partitions": partitions,
    }
    settings = [(s.name, s.value, "default" if s.is_default else "set") for s in found.settings]
    columns = ("PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "ELR", "LOG START", "HIGH WATERMARK")
    emit(
        invocation,
        data,
        Table(("TOPIC", "ID"), [(found.name, _id_text(found.topic_id))]),
        Table(columns, [tuple(fields.values()) for fields in partitions]),
        Table(("SETTING", "VALUE", "SOURCE"), settings),
    )


async def _described(cluster: Cluster, name: str) -> tuple[TopicInfo, dict[int, LogEnds]]:
    """The topic, and log start and high watermark of each partition that has a leader who says."""
    import asyncio

    from streamkeep import StreamkeepError, TopicPartition

    topic = await cluster.topic(name)
    ends: dict[int, LogEnds] = {}
    topic_partitions = [
        TopicPartition(name, partition.partition) for partition in topic.partitions if partition.leader
    ]
    starts, latest = await asyncio.gather(
        cluster.admin.list_offsets(dict.fromkeys(topic_partitions, "earliest")),
        cluster.admin.list_offsets(dict.fromkeys(topic_partitions, "latest")),
    )
    for topic_partition, start in starts.items():
        end = latest[topic_partition]
        ends[topic_partition.partition] = (
            None if isinstance(start, StreamkeepError) else start.offset,
            None if isinstance(end, StreamkeepError) else end.offset,
        )
        for outcome in (start, end):
            if isinstance(outcome, StreamkeepError):
                note(f"partition {topic_partition.partition}: {outcome.message or outcome}")
                break
    return topic, ends


def _partition_fields(partition: PartitionInfo, ends: LogEnds) -> dict[str, Cell]:
    log_start_offset, high_watermark = ends
    return {
        "partition": partition.partition,
        "leader": partition.leader or None,
        "leader_epoch": partition.leader_epoch,
        "replicas": list(partition.replicas),
        "isr": list(partition.isr),
        "elr": list(partition.elr),
        "log_start_offset": log_start_offset,
        "high_watermark": high_watermark,
    }


@topic.command()
@_topic
@click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="NAME=VALUE",
    help="Change it; may repeat.",
)
@click.option("--unset", multiple=True, metavar="NAME", help="Return it to its default; may repeat.")
@click.option("--partitions", type=click.IntRange(1), help="Add partitions up to this number.")
@_dry_run
@cluster_options
@pass_invocation
def alter(
    invocation: Invocation,
    /,
    *,
    name: str,
    settings: Mapping[str, str],
    unset: tuple[str, ...],
    partitions: int | None,
    dry_run: bool,
) -> None:
    """Change settings of TOPIC or add partitions to it.

    With more partitions, keys may go elsewhere from then on.
    """
    from streamctl.cluster import ask

    if not settings and not unset and partitions is None:
        raise click.UsageError("nothing to change: give --set, --unset or --partitions")

    async def work(cluster: Cluster) -> TopicOutcome | None:
        await cluster.topic(name)
        outcome = None
        if partitions is not None:  # first, that nothing is changed if this cannot be
            await cluster.admin.add_partitions(name, partitions, validate_only=True)
        if settings or unset:
            outcome = await cluster.admin.alter_topic_settings(
                name, set=settings, unset=unset, validate_only=dry_run
            )
        if partitions is not None:
            outcome = await cluster.admin.add_partitions(name, partitions, validate_only=dry_run)
        return outcome

    outcome = ask(invocation, work)
    note(f"{'Would change' if dry_run else 'Changed'} topic '{name}'.")
    if invocation.json and outcome is not None:
        emit(invocation, _outcome_fields(outcome))


@topic.command()
@_topic
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_dry_run
@cluster_options
@pass_invocation
def delete(invocation: Invocation, /, *, name: str, yes: bool, dry_run: bool) -> None:
    """Delete TOPIC with all its records. Asks first, on a terminal."""
    from streamctl.cluster import ask

    found = ask(invocation, lambda cluster: cluster.topic(name))
    question = f"Delete topic '{name}', {len(found.partitions)} partitions with all their records?"
    confirm(question, yes=yes or dry_run)
    outcome = ask(invocation, lambda cluster: cluster.admin.delete_topic(name, validate_only=dry_run))
    note(f"{'Would delete' if dry_run else 'Deleted'} topic '{name}'.")
    if invocation.json:
        emit(invocation, _outcome_fields(outcome))


def _id_text(topic_id: bytes) -> str:
    """As a UUID; its first eight digits are those in the names of the topic's directories."""
    return str(UUID(bytes=topic_id))


def _outcome_fields(outcome: TopicOutcome) -> dict[str, Cell]:
    return {
        "name": outcome.name,
        "id": _id_text(outcome.topic_id) if outcome.topic_id else None,
        "partitions": outcome.partitions,
        "replication_factor": outcome.replication_factor,
    }

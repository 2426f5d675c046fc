"""`streamctl topic`: create, list, describe, alter and delete topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from streamctl.completion import setting_names
from streamctl.completion import settings as complete_setting
from streamctl.completion import topics as complete_topic
from streamctl.contexts.danger import confirm_change
from streamctl.groups import NounGroup
from streamctl.invocation import (
    MAX_ID,
    Invocation,
    cluster_options,
    dry_run_option,
    list_options,
    named_values,
    pass_invocation,
    yes_option,
)
from streamctl.output import Cell, Table, counted, emit, id_text, note
from streamctl.watch import WatchedCommand, look, watch_option

if TYPE_CHECKING:
    from streamctl.planned import PlannedMove
    from streamkeep_proto.v1.coordinator_pb2 import TopicInfo, TopicOutcome

_topic = click.argument("name", metavar="TOPIC", shell_complete=complete_topic)
_new_topic = click.argument("name", metavar="TOPIC")


def _settings(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    return named_values(values)


@click.group(cls=NounGroup)
def topic() -> None:
    """Create, list, describe, alter and delete topics."""


@topic.command()
@_new_topic
@click.option(
    "--like",
    metavar="TOPIC",
    shell_complete=complete_topic,
    help="Partitions, replicas and the settings that are set are those of this topic, unless said otherwise.",
)
@click.option(
    "--partitions",
    type=click.IntRange(1, MAX_ID),
    help="Number of partitions.  [default: the cluster's default_partitions]",
)
@click.option(
    "--replication-factor",
    type=click.IntRange(1, MAX_ID),
    help="Replicas of each partition.  [default: the cluster's default_replication_factor]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="NAME=VALUE",
    shell_complete=complete_setting,
    help="A setting other than its default, as in retention_ms=1d; may repeat.",
)
@dry_run_option
@cluster_options
@pass_invocation
def create(
    invocation: Invocation,
    /,
    *,
    name: str,
    like: str | None,
    partitions: int | None,
    replication_factor: int | None,
    settings: Mapping[str, str],
    dry_run: bool,
) -> None:
    """Create TOPIC and wait until it can be used.

    \b
    streamctl topic create flights --partitions 12
    streamctl topic create copy --like flights
    """
    from streamctl.cluster import ask
    from streamctl.topic_creation import NewTopic, create_topic

    wanted = NewTopic(partitions, replication_factor, settings)
    outcome = ask(
        invocation,
        lambda cluster: create_topic(cluster, name, wanted, like=like, validate_only=dry_run),
    )
    done = "Would create" if dry_run else "Created"
    as_which = f" like '{like}'" if like is not None else ""
    note(
        f"{done} topic '{name}'{as_which}: {counted(outcome.partitions, 'partition')}, "
        f"RF {outcome.replication_factor}, min ISR {outcome.min_insync_replicas}."
    )
    if invocation.is_data:
        emit(invocation, _outcome_fields(outcome))


@topic.command("list")
@click.argument("names", metavar="[TOPIC|PATTERN]...", nargs=-1, shell_complete=complete_topic)
@list_options
@pass_invocation
def list_(invocation: Invocation, /, *, names: tuple[str, ...]) -> None:
    """List the topics by name: all, or those that are named or match a pattern, as in 'test-*'."""
    from streamctl.cluster import ask
    from streamctl.topic_names import listed

    topics = ask(invocation, lambda cluster: listed(cluster, names))
    data = [
        {
            "name": topic.name,
            "id": id_text(topic.topic_id),
            "partitions": topic.partitions,
            "replication_factor": topic.replication_factor,
        }
        for topic in topics
    ]
    rows = [(topic.name, topic.partitions, topic.replication_factor) for topic in topics]
    table = Table(("TOPIC", "PARTITIONS", "REPLICAS"), rows)
    emit(invocation, data, table, names=[topic.name for topic in topics])


@topic.command(cls=WatchedCommand)
@_topic
@watch_option
@cluster_options
@pass_invocation
def describe(invocation: Invocation, /, *, name: str, watch_s: float | None) -> None:
    """Show partitions, offsets and settings of TOPIC.

    The high watermark is the offset of the next record to become readable. The state tells what ails a
    partition, and which replicas are being added and removed.
    """
    from streamctl.topic_description import describe_topic

    look(
        invocation,
        watch_s,
        lambda cluster: describe_topic(cluster, name),
        lambda described: _show_described(invocation, *described),
    )


def _show_described(
    invocation: Invocation, found: TopicInfo, partitions: Sequence[Mapping[str, Cell]]
) -> None:
    from streamctl.topic_description import partitions_table

    data = {
        "name": found.name,
        "id": id_text(found.topic_id),
        "settings": {setting.name: setting.value for setting in found.settings},
        "settings_set": [setting.name for setting in found.settings if not setting.is_default],
        "partitions": partitions,
    }
    settings = [(s.name, s.value, "default" if s.is_default else "set") for s in found.settings]
    emit(
        invocation,
        data,
        Table(("TOPIC", "ID"), [(found.name, id_text(found.topic_id))]),
        partitions_table(partitions),
        Table(("SETTING", "VALUE", "SOURCE"), settings),
    )


@topic.command()
@_topic
@click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="NAME=VALUE",
    shell_complete=complete_setting,
    help="Change it; may repeat.",
)
@click.option(
    "--unset",
    multiple=True,
    metavar="NAME",
    shell_complete=setting_names,
    help="Return it to its default; may repeat.",
)
@click.option("--partitions", type=click.IntRange(1, MAX_ID), help="Add partitions up to this number.")
@click.option(
    "--replication-factor",
    type=click.IntRange(1, MAX_ID),
    help="Replicas of each partition; new ones are copied.",
)
@click.option("--wait", is_flag=True, help="Return when new replicas are copied.")
@dry_run_option
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
    replication_factor: int | None,
    wait: bool,
    dry_run: bool,
) -> None:
    """Change settings of TOPIC, add partitions to it, or give it more or fewer replicas.

    \b
    streamctl topic alter flights --set retention_ms=1d
    streamctl topic alter flights --replication-factor 3 --dry-run    only say it

    With more partitions, keys may go elsewhere from then on.
    """
    from streamctl.cluster import ask
    from streamctl.topic_changes import TopicChanges, change_topic

    changes = TopicChanges(settings, unset, partitions, replication_factor)
    if not changes:
        raise click.UsageError("nothing to change: give --set, --unset, --partitions or --replication-factor")
    if wait and replication_factor is None:
        raise click.UsageError("nothing to wait for: --wait goes with --replication-factor")
    outcome, moves, differences = ask(
        invocation, lambda cluster: change_topic(cluster, name, changes, validate_only=dry_run)
    )
    if outcome is not None or any(move.error is None for move in moves or ()):
        note(_changed_text(name, differences, moves=moves, dry_run=dry_run))
    if moves is not None:
        _follow(invocation, moves, wait=wait, dry_run=dry_run)
    elif invocation.is_data and outcome is not None:
        emit(invocation, _outcome_fields(outcome))


def _changed_text(
    name: str, differences: Sequence[str], *, moves: Sequence[PlannedMove] | None, dry_run: bool
) -> str:
    """Moves of replicas are shown in a table."""
    if not differences and moves is None:
        return f"Topic '{name}' has all that already."
    what = f": {', '.join(differences)}" if differences else ""
    return f"{'Would change' if dry_run else 'Changed'} topic '{name}'{what}."


def _follow(invocation: Invocation, moves: Sequence[PlannedMove], *, wait: bool, dry_run: bool) -> None:
    """Show moves of replicas, wait for them if told to, and fail if some could not begin."""
    from streamctl.cluster import ask
    from streamctl.moves import until_all_moved
    from streamctl.planned import check_plan, note_if_cut, show_plan

    show_plan(invocation, moves, is_dry=dry_run)
    if dry_run:
        note_if_cut(moves)
    elif wait:
        ask(invocation, lambda cluster: until_all_moved(invocation, cluster, moves))
    check_plan(moves)


@topic.command("add-partitions")
@_topic
@click.argument("partitions", type=click.IntRange(1, MAX_ID), metavar="TOTAL")
@dry_run_option
@cluster_options
@pass_invocation
def add_partitions(invocation: Invocation, /, *, name: str, partitions: int, dry_run: bool) -> None:
    """Raise the number of partitions of TOPIC to TOTAL. Keys may go elsewhere from then on."""
    from streamctl.cluster import ask
    from streamctl.topic_changes import TopicChanges, change_topic

    changes = TopicChanges({}, (), partitions, None)
    outcome = ask(
        invocation, lambda cluster: change_topic(cluster, name, changes, validate_only=dry_run)
    ).outcome
    note(f"Topic '{name}' {'would have' if dry_run else 'has'} {counted(partitions, 'partition')}.")
    if invocation.is_data and outcome is not None:
        emit(invocation, _outcome_fields(outcome))


@topic.command()
@click.argument("names", metavar="TOPIC|PATTERN...", nargs=-1, required=True, shell_complete=complete_topic)
@yes_option
@dry_run_option
@list_options
@pass_invocation
def delete(invocation: Invocation, /, *, names: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Delete topics with all their records. Asks first, on a terminal.

    \b
    streamctl topic delete flights
    streamctl topic delete 'test-*' --dry-run    only say it

    A PATTERN has `*`, `?` or `[...]`, as in a shell: put it in quotes, so that the shell leaves it alone.
    """
    from streamctl.cluster import ask
    from streamctl.topic_deletion import check_deleted, deletion_question, doomed_table
    from streamctl.topic_names import listed

    doomed = ask(invocation, lambda cluster: listed(cluster, names))
    if not dry_run:
        confirm_change(invocation, deletion_question(doomed), yes=yes)
    outcomes = ask(
        invocation,
        lambda cluster: cluster.admin.delete_topics([topic.name for topic in doomed], validate_only=dry_run),
    )
    deleted = [outcome for outcome in outcomes if not outcome.HasField("error")]
    if dry_run or invocation.is_data:
        data = [_outcome_fields(outcome) for outcome in deleted]
        emit(invocation, data, doomed_table(doomed), names=[outcome.name for outcome in deleted])
    what = f"topic '{deleted[0].name}'" if len(deleted) == 1 else counted(len(deleted), "topic")
    note(f"{'Would delete' if dry_run else 'Deleted'} {what}.")
    check_deleted(outcomes)


def _outcome_fields(outcome: TopicOutcome) -> dict[str, Cell]:
    return {
        "name": outcome.name,
        "id": id_text(outcome.topic_id) if outcome.topic_id else None,
        "partitions": outcome.partitions,
        "replication_factor": outcome.replication_factor,
        "min_insync_replicas": outcome.min_insync_replicas,
    }

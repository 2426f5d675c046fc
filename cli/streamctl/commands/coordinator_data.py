"""`streamctl coordinator log dump` and `coordinator recover`: a data directory without its process."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamctl.failures import CommandError
from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, dry_run_option, local_options, pass_invocation, yes_option
from streamctl.output import Table, confirm, counted, emit, emit_item, note

if TYPE_CHECKING:
    from streamkeep_coordinator.storage.force import ForcedRecovery
    from streamkeep_coordinator.storage.inspect import Item

_existing_directory = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(cls=NounGroup)
def log() -> None:
    """Look into a coordinator's files."""


@log.command()
@click.argument("data_dir", type=_existing_directory)
@click.option("--records", is_flag=True, help="Show the records of entries and snapshots, too.")
@local_options
@pass_invocation
def dump(invocation: Invocation, /, *, data_dir: Path, records: bool) -> None:
    """Show everything in a coordinator's DATA_DIR: identity, log, hard state, snapshots.

    A line for each thing with its file and byte; -o json writes only JSON, a line each. Damage is told on
    stderr, too, and makes the exit code 1. Changes nothing; while the coordinator runs, the end of its log
    may look unfinished.
    """
    from streamkeep_common.seams.real.disk import RealDisk
    from streamkeep_coordinator.storage.inspect import Kind, inspect

    found = damaged = 0
    for item in inspect(RealDisk(), data_dir.absolute()):
        _write(invocation, item, with_records=records)
        found += 1
        damaged += item.kind is Kind.DAMAGE
    if not found:
        raise click.UsageError(f"{data_dir} holds nothing of a coordinator's")
    if damaged:
        places = counted(damaged, "damaged place")
        raise CommandError(f"{data_dir} has {places}; a coordinator that finds them comes back empty")


def _write(invocation: Invocation, item: Item, *, with_records: bool) -> None:
    from streamctl.records.metadata_text import item_fields, item_line, record_lines
    from streamkeep_coordinator.storage.inspect import Kind

    if item.kind is Kind.DAMAGE:
        note(item_line(item))
    if invocation.is_data:
        emit_item(invocation, item_fields(item, with_records=with_records))
    elif item.kind is not Kind.DAMAGE:
        click.echo(item_line(item))
        for line in record_lines(item) if with_records else ():
            click.echo(f"  {line}")


@click.command()
@click.option("--force-new-cluster", is_flag=True, help="Say that the other coordinators are gone for good.")
@click.option("--data-dir", type=_existing_directory, required=True, help="Of the coordinator that is left.")
@click.option(
    "--address", default="", metavar="HOST:PORT", help="Where it will be reached.  [default: as before]"
)
@dry_run_option
@yes_option
@local_options
@pass_invocation
def recover(
    invocation: Invocation,
    /,
    *,
    force_new_cluster: bool,
    data_dir: Path,
    address: str,
    dry_run: bool,
    yes: bool,
) -> None:
    """Go on with one coordinator after more than half of them were lost for good.

    A last resort, for a cluster whose lost coordinators can never be started again. The coordinator of
    this directory, which must not run, becomes the only one. What it has is taken for what was committed:
    the newest changes of metadata may be missing, and some that were never confirmed may appear. The
    cluster keeps its id and gets a new epoch; coordinators of the old one are refused, so that none of
    them brings back what was decided otherwise.

    If several coordinators are left, take the one whose last entry has the highest term, and of those the
    highest index (`streamctl coordinator log dump` shows both). Start it, empty the directories of the
    others, and add them with `streamctl quorum add`.
    """
    if not force_new_cluster:
        raise click.UsageError(
            "this makes a new cluster out of one coordinator's data, and what the others knew more is lost:"
            " say --force-new-cluster if they are gone for good"
        )
    planned = _recover(data_dir, address, dry_run=True)
    _show(invocation, planned)
    if dry_run:
        note("Nothing was changed.")
        return
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: say --yes if this is what you want")
    confirm("Recover by force? There is no way back.", yes=yes)
    done = _recover(data_dir, address, dry_run=False)
    note(
        f"Coordinator {done.coordinator_id} is the only one of cluster {done.cluster_id} in epoch"
        f" {done.cluster_epoch}. Start it, then add others with `streamctl quorum add`."
    )


def _recover(data_dir: Path, address: str, *, dry_run: bool) -> ForcedRecovery:
    import random

    from streamkeep_common.seams.real.clock import RealClock
    from streamkeep_common.seams.real.disk import RealDisk
    from streamkeep_coordinator.storage.force import recover_by_force

    path = data_dir.absolute()
    now_ms = RealClock().now_ms()
    return recover_by_force(
        RealDisk(), path, random.SystemRandom(), now_ms=now_ms, address=address, dry_run=dry_run
    )


def _show(invocation: Invocation, planned: ForcedRecovery) -> None:
    lost = [
        {"id": member.coordinator_id, "address": member.address, "voter": member.voter}
        for member in planned.former
        if member.coordinator_id != planned.coordinator_id
    ]
    data = asdict(planned) | {"uncommitted": planned.uncommitted, "lost": lost}
    del data["former"]
    columns = ("CLUSTER", "NEW EPOCH", "COORDINATOR", "ADDRESS", "TERM", "LAST INDEX", "COMMITTED")
    cells = (planned.coordinator_id, planned.address, planned.term, planned.last_index)
    row = (planned.cluster_id, planned.cluster_epoch, *cells, planned.committed_index)
    emit(invocation, data, Table(columns, [row]))
    for member in lost:
        note(f"Coordinator {member['id']} at {member['address']} is given up, with what only it knew.")
    if planned.uncommitted:
        note(f"Its last {planned.uncommitted} entries may never have been committed; they will be.")

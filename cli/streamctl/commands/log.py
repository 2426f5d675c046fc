"""`streamctl log`: what segment files hold and what is wrong with them. Reads only; needs no broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamctl.failures import CommandError
from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, local_options, pass_invocation
from streamctl.output import Table, counted, emit, emit_item, note

if TYPE_CHECKING:
    from streamkeep_broker.log.verify import Finding, StoredBatch

SEGMENT_PATTERN = "[0-9]" * 20 + ".log"

_path = click.argument("path", type=click.Path(exists=True, path_type=Path))


@click.group(cls=NounGroup)
def log() -> None:
    """Look into segment files."""


@log.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--records", is_flag=True, help="Show the records of each batch, too.")
@local_options
@pass_invocation
def dump(invocation: Invocation, /, *, file: Path, records: bool) -> None:
    """Show the batches of a segment FILE with their positions in bytes.

    A line a batch and, with --records, a line a record in JSON; -o json writes only JSON, a line each. What
    is no batch is told on stderr, and makes the exit code 1.
    """
    from streamkeep_broker.log.verify import Finding

    findings = 0
    for item in _items(file):
        if isinstance(item, Finding):
            note(str(item))
            findings += 1
        else:
            _write_batch(invocation, item, with_records=records)
    if findings:
        places = counted(findings, "damaged place")
        raise CommandError(f"{file} has {places}; `streamctl log verify` tells more")


def _items(file: Path) -> Iterator[StoredBatch | Finding]:
    from streamkeep_broker.log.verify import read_segment
    from streamkeep_common.seams.real.disk import RealDisk

    try:
        yield from read_segment(RealDisk(), file.absolute())
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _write_batch(invocation: Invocation, stored: StoredBatch, *, with_records: bool) -> None:
    from streamctl.records.batch_text import batch_fields, batch_line, record_fields

    if invocation.is_data:
        fields = batch_fields(stored.position, stored.batch)
        content = {"content": list(record_fields(stored.batch))} if with_records else {}
        emit_item(invocation, fields | content)
        return
    click.echo(batch_line(stored.position, stored.batch))
    if with_records:
        for fields in record_fields(stored.batch):
            click.echo(f"  {json.dumps(fields, ensure_ascii=False)}")


@log.command()
@_path
@local_options
@pass_invocation
def verify(invocation: Invocation, /, *, path: Path) -> None:
    """Check every checksum of a segment, of a partition's directory or of a whole log directory.

    Says what is wrong, in which file and at which byte; then the exit code is 1. A segment that a broker is
    writing meanwhile may look torn at its end.
    """
    from streamkeep_broker.log.verify import verify_path
    from streamkeep_common.seams.real.disk import RealDisk

    if path.is_dir() and not any(path.rglob(SEGMENT_PATTERN)):
        raise click.UsageError(f"{path} holds no segments: they are named with 20 digits and .log")
    try:
        findings = list(verify_path(RealDisk(), path.absolute()))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    data = [finding._asdict() | {"path": str(finding.path)} for finding in findings]
    if findings or invocation.is_data:
        rows = [(f.position, f.offset, str(f.path), f.problem) for f in findings]
        emit(invocation, data, Table(("BYTE", "OFFSET", "FILE", "PROBLEM"), rows))
    if findings:
        places = counted(len(findings), "damaged place")
        raise CommandError(f"{path} has {places}; readers are never given damaged records")
    note(f"Nothing is wrong with {path}.")

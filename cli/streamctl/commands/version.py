"""`streamctl version`."""

from __future__ import annotations

import platform
from importlib import metadata

import click

from streamctl.invocation import Invocation, local_options, pass_invocation
from streamctl.output import Table, emit

PARTS = ("grpcio", "protobuf", "cramjam", "crc32c")


@click.command()
@local_options
@pass_invocation
def version(invocation: Invocation) -> None:
    """Show the versions of Streamkeep and its parts."""
    versions = {
        "streamkeep": metadata.version("streamkeep"),
        "python": platform.python_version(),
        **{part: metadata.version(part) for part in PARTS},
    }
    emit(invocation, versions, Table(("PART", "VERSION"), list(versions.items())))

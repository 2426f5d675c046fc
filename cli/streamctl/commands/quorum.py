"""`streamctl quorum`: the coordinators that keep the metadata together, and how they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamctl.contexts.danger import confirm_change
from streamctl.failures import CommandError, ExitCode
from streamctl.groups import NounGroup
from streamctl.invocation import (
    MAX_ID,
    Invocation,
    cluster_options,
    dry_run_option,
    pass_invocation,
    yes_option,
)
from streamctl.output import emit, note
from streamctl.watch import WatchedCommand, look, watch_option

if TYPE_CHECKING:
    from streamkeep_proto.v1.raft_pb2 import DescribeQuorumResponse

_id = click.argument("number", type=click.IntRange(1, MAX_ID), metavar="ID")


@click.group(cls=NounGroup)
def quorum() -> None:
    """Show and change the quorum of coordinators."""


@quorum.command(cls=WatchedCommand)
@watch_option
@cluster_options
@pass_invocation
def status(invocation: Invocation, /, *, watch_s: float | None) -> None:
    """Show who is active, and how far each coordinator has come.

    Answered by any coordinator that lives. Without a quorum it tells what that one knows, and says so.
    """
    look(invocation, watch_s, lambda cluster: cluster.quorum(), lambda found: _show(invocation, found))


def _show(invocation: Invocation, found: DescribeQuorumResponse) -> None:
    from streamctl.quorum import members_table, quorum_fields, quorum_table, staleness

    emit(invocation, quorum_fields(found), quorum_table(found), members_table(found.members))
    if found.stale:
        note(staleness(found))


@quorum.command()
@_id
@click.argument("address", metavar="HOST:PORT")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Return when it votes.")
@cluster_options
@pass_invocation
def add(invocation: Invocation, /, *, number: int, address: str, wait: bool) -> None:
    """Let a coordinator in that runs with an empty data directory.

    It joins as a learner, without a vote, and gets one when it has caught up. The command gives up after
    --timeout (30 s) without progress; the learner stays.
    """
    from streamctl.cluster import Cluster, ask
    from streamctl.membership import until_it_votes
    from streamkeep_common.settings.types import Address

    try:
        Address().parse(address)
    except ValueError:
        raise click.UsageError(f"{address!r} is not HOST:PORT") from None

    async def work(cluster: Cluster) -> DescribeQuorumResponse:
        await cluster.admin.add_coordinator(number, address)
        note(f"Coordinator {number} at {address} has joined as a learner.")
        if wait:
            return await until_it_votes(cluster, number, stall_timeout_s=invocation.stall_timeout_s)
        return await cluster.quorum()

    found = ask(invocation, work)
    if wait:
        note(f"Coordinator {number} has everything and votes.")
    if invocation.is_data:
        _show(invocation, found)


@quorum.command()
@_id
@yes_option
@dry_run_option
@cluster_options
@pass_invocation
def remove(invocation: Invocation, /, *, number: int, yes: bool, dry_run: bool) -> None:
    """Take a coordinator out of the quorum for good. Asks first, on a terminal.

    Its process need not run; if it does, it says that it was removed, and serves nothing any more.
    """
    from streamctl.cluster import ask
    from streamctl.membership import removal

    found = ask(invocation, lambda cluster: cluster.quorum())
    consequence = removal(found, number)
    if dry_run:
        note(f"Would remove {consequence}.")
        return
    confirm_change(invocation, f"Remove {consequence}?", yes=yes)
    ask(invocation, lambda cluster: cluster.admin.remove_coordinator(number))
    note(f"Removed {consequence}.")
    if invocation.is_data:
        _show(invocation, ask(invocation, lambda cluster: cluster.quorum()))


@quorum.command()
@click.argument("number", type=click.IntRange(1, MAX_ID), metavar="[ID]", required=False)
@cluster_options
@pass_invocation
def transfer(invocation: Invocation, /, *, number: int | None) -> None:
    """Make another voter the active one: ID, or whichever has most of the log."""
    from streamctl.cluster import ask

    changed = ask(invocation, lambda cluster: cluster.admin.transfer_leadership(number or 0))
    active = f"Coordinator {changed.active_id}" if changed.active_id else "Nobody yet"
    if number not in (None, changed.active_id):
        raise CommandError(f"{active} is active, and not {number}: try again", ExitCode.UNAVAILABLE)
    note(f"{active} is active.")
    if invocation.is_data:
        _show(invocation, ask(invocation, lambda cluster: cluster.quorum()))

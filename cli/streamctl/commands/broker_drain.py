"""`streamctl broker drain|undrain|decommission`: a broker emptied, and taken out of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamctl.commands.broker_show import broker_argument
from streamctl.contexts.danger import confirm_change
from streamctl.invocation import Invocation, cluster_options, dry_run_option, pass_invocation, yes_option
from streamctl.output import counted, note

if TYPE_CHECKING:
    from streamctl.cluster import Cluster

_wait = click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Return when it is empty; fails when nothing is moved for --timeout (30 s).",
)


@click.command()
@broker_argument
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
@broker_argument
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
@broker_argument
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
        confirm_change(invocation, f"Empty broker {number}, and forget it?", yes=yes)
    ask(invocation, work)


async def _forget(invocation: Invocation, cluster: Cluster, number: int) -> None:
    from streamctl.draining import find_broker, until_fenced

    if not (await find_broker(cluster, number)).fenced:
        note(f"Stop broker {number} now: it is forgotten as soon as it is gone.")
        await until_fenced(cluster, number, timeout_s=invocation.stall_timeout_s)
    await cluster.admin.remove_broker(number)
    note(f"Broker {number} is no part of the cluster any more.")


COMMANDS = (drain, undrain, decommission)

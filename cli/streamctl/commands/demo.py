"""`streamctl demo`: the promise on the README's first screen, carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamctl.failures import CommandError
from streamctl.invocation import Invocation, local_options, pass_invocation
from streamctl.output import Table, emit

if TYPE_CHECKING:
    from streamctl.demo.run import Outcome


@click.command()
@local_options
@pass_invocation
def demo(invocation: Invocation, /) -> None:
    """Stream a month of real flights through a cluster, kill a leader meanwhile, and check every record.

    Starts three coordinators and three brokers in a temporary directory, sends the 27,004 departures from New
    York in January 2013 to partitions of three replicas, and half-way through kills a broker with -9. Says
    for how long writes stood still, reads everything back, compares, and stops what it started. Takes a few
    seconds and leaves nothing behind. Exit code 1 if a record is missing or there twice.
    """
    from streamctl.demo.run import run_demo
    from streamctl.interrupts import run

    outcome = run(run_demo())
    show(invocation, outcome)
    if not outcome.is_complete:
        raise CommandError(
            f"{outcome.missing} departures are missing and {outcome.surplus} are there once too often; this"
            " must never happen: please report it"
        )


def show(invocation: Invocation, outcome: Outcome) -> None:
    """The table, the blow and the comparison."""
    sent, read, blow = len(outcome.sent), len(outcome.read), outcome.blow
    carriers = [
        {
            "carrier": carrier,
            "departures": tally.departures,
            "mean_departure_delay_minutes": tally.mean_delay_minutes,
        }
        for carrier, tally in outcome.tally.rows()
    ]
    data = {
        "sent": sent,
        "read": read,
        "missing": outcome.missing,
        "surplus": outcome.surplus,
        "complete": outcome.is_complete,
        "killed_broker": blow.broker,
        "sent_before_kill": blow.sent_before,
        "writes_stalled_s": round(blow.stall_s, 3),
        "consume_records_per_s": round(read / outcome.consume_s),
        "carriers": carriers,
    }
    rows = [tuple(fields.values()) for fields in carriers]
    emit(invocation, data, Table(("CARRIER", "DEPARTURES", "MEAN DELAY IN MINUTES"), rows))
    if invocation.is_data:
        return
    click.echo(
        f"\nAfter {blow.sent_before:,} departures broker {blow.broker} was killed with -9;"
        f" writes stood still for {blow.stall_s:.2f} s."
    )
    click.echo(f"Read back at {read / outcome.consume_s:,.0f} records/s, by two consumers.")
    if outcome.is_complete:
        click.echo(f"{sent:,} of {sent:,} came through, each exactly once.")
    else:
        click.echo(f"{sent - outcome.missing:,} of {sent:,} came through; {outcome.surplus:,} too many.")

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
    """Stream a month of real flights through a cluster, and check it.

    Starts three coordinators and three brokers in a temporary directory, sends the 27,004 departures from New
    York in January 2013, reads them back with two consumers, compares, and stops everything. Takes a few
    seconds and leaves nothing behind.
    """
    from streamctl.demo.run import run_demo
    from streamctl.interrupts import run

    outcome = run(run_demo())
    show(invocation, outcome)
    if not outcome.is_complete:
        raise CommandError(
            "what was read back is not what was sent; this must never happen: please report it"
        )


def show(invocation: Invocation, outcome: Outcome) -> None:
    """The table, the rates and the comparison."""
    sent, read = outcome.sent.departures, outcome.read.departures
    carriers = [
        {
            "carrier": carrier,
            "departures": tally.departures,
            "mean_departure_delay_minutes": tally.mean_delay_minutes,
        }
        for carrier, tally in outcome.read.rows()
    ]
    data = {
        "sent": sent,
        "read": read,
        "complete": outcome.is_complete,
        "produce_records_per_s": round(sent / outcome.produce_s),
        "consume_records_per_s": round(read / outcome.consume_s),
        "carriers": carriers,
    }
    rows = [tuple(fields.values()) for fields in carriers]
    emit(invocation, data, Table(("CARRIER", "DEPARTURES", "MEAN DELAY IN MINUTES"), rows))
    if invocation.json:
        return
    click.echo(
        f"\nsent at      {sent / outcome.produce_s:>9,.0f} records/s, each flushed to disk before its answer"
    )
    click.echo(f"read back at {read / outcome.consume_s:>9,.0f} records/s, by two consumers")
    summary = f"{read:,} of {sent:,} records read back"
    verdict = (
        "; counts and delays agree with the input" if outcome.is_complete else "; they DIFFER from the input"
    )
    click.echo(f"{summary}{verdict}.")

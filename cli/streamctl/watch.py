"""`--watch`: what changes is looked at again and again, over one connection.

On a terminal each look takes the place of the one before; elsewhere they follow each other, so that a program
reads one document after the other.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from streamctl.invocation import Invocation, Seconds
from streamctl.output import is_colourful, note

if TYPE_CHECKING:
    from streamctl.cluster import Cluster

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

PAUSE_S = 2.0
_TO_TOP_AND_CLEAR = "\x1b[H\x1b[J"


class WatchedCommand(click.Command):
    """A command whose `--watch` may stand without a number, whatever comes after it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        said = [f"--watch={PAUSE_S:g}" if arg == "--watch" else arg for arg in args[:end]]
        return super().parse_args(ctx, said + args[end:])


class _WatchOption(click.Option):
    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:  # noqa: ARG002 (of the base class)
        assert self.help is not None
        return "--watch[=SECONDS]", self.help


def watch_option(function: F) -> F:
    """Gives the command `watch_s`, seconds between two looks, None if one look is enough."""
    return click.option(
        "--watch",
        "watch_s",
        cls=_WatchOption,
        type=Seconds(min=0.1, max=86_400),
        help=f"Look again every so often, until Ctrl-C.  [default: {PAUSE_S:g}]",
    )(function)


def look(
    invocation: Invocation,
    watch_s: float | None,
    find: Callable[[Cluster], Awaitable[T]],
    show: Callable[[T], None],
) -> None:
    """Find and show, again and again if that was asked for. What may pass is told and waited out, except at
    the first look; anything else is raised."""
    from streamctl.cluster import ask
    from streamctl.interrupts import hearing_signals

    async def work(cluster: Cluster) -> None:
        found = await find(cluster)
        with hearing_signals():
            _turn_page(invocation, is_first=True, is_watched=watch_s is not None)
            show(found)
        if watch_s is not None:
            await _look_again(invocation, watch_s, lambda: find(cluster), show)

    ask(invocation, work)


async def _look_again(
    invocation: Invocation,
    watch_s: float,
    find: Callable[[], Awaitable[T]],
    show: Callable[[T], None],
) -> None:
    import asyncio

    from streamctl.interrupts import hearing_signals
    from streamkeep import StreamkeepError

    while True:
        await asyncio.sleep(watch_s)
        try:
            found = await find()
        except StreamkeepError as error:
            if not error.retriable:
                raise
            note(f"No answer now: {error.message or error}")
            continue
        with hearing_signals():
            _turn_page(invocation, is_first=False, is_watched=True)
            show(found)
            sys.stdout.flush()


def _turn_page(invocation: Invocation, *, is_first: bool, is_watched: bool) -> None:
    if is_watched and not invocation.is_data and is_colourful(sys.stdout):
        click.echo(_TO_TOP_AND_CLEAR, nl=False, color=True)
    elif not is_first and invocation.output in _BETWEEN:
        click.echo(_BETWEEN[invocation.output])


_BETWEEN = {"table": "", "yaml": "---"}
"""Between two looks; documents of JSON need nothing, and names are a line each."""

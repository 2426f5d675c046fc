"""What keeps a hand from slipping: questions before something is destroyed, by name where it is dangerous."""

from __future__ import annotations

import sys

import click

from streamctl.contexts.target import Target, find_target
from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import Invocation
from streamctl.output import confirm, is_colourful


def confirm_change(invocation: Invocation, question: str, *, yes: bool) -> None:
    """As `confirm`; in a dangerous context its name has to be typed, or, without a terminal, --yes be said.

    Raises click.Abort if the answer is another.
    """
    context = find_target(invocation).context
    if yes or context is None or not context.danger:
        confirm(question, yes=yes)
        return
    if not _can_ask():
        raise CommandError(
            f"context '{context.name}' is marked as dangerous, and there is no terminal to ask on: say --yes",
            ExitCode.USAGE,
        )
    answer = click.prompt(
        f"{question}\nType {_tag(context.name)} to go on", err=True, default="", show_default=False
    )
    if answer != context.name:
        raise click.Abort


def warn_of(invocation: Invocation, target: Target) -> None:
    """On a terminal, once, name the context in red if it is dangerous."""
    if target.context is None or not target.is_dangerous or invocation.is_warned:
        return
    invocation.is_warned = True
    if sys.stderr.isatty():
        click.echo(f"context {_tag(target.context.name)}", err=True)


def _can_ask() -> bool:
    return sys.stdin.isatty()


def _tag(name: str) -> str:
    return click.style(name, fg="red", bold=True) if is_colourful(sys.stderr) else f"'{name}'"

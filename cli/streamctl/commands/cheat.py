"""`streamctl cheat`: worked examples."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from streamctl.cheat.pages import PAGES, Page
from streamctl.failures import CommandError, ExitCode, nearest
from streamctl.invocation import Invocation, local_list_options, pass_invocation
from streamctl.output import Table, emit, is_colourful


def _names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in PAGES if name.startswith(incomplete)]


@click.command()
@click.argument("names", metavar="[PAGE]...", nargs=-1, shell_complete=_names)
@local_list_options
@pass_invocation
def cheat(invocation: Invocation, /, *, names: tuple[str, ...]) -> None:
    """Show worked examples, a page at a time.

    Without PAGE it lists the pages.
    """
    for name in names:
        if name not in PAGES:
            offer = nearest(name, PAGES) or "; `streamctl cheat` lists those that are"
            raise CommandError(f"there is no page '{name}'{offer}", ExitCode.NOT_FOUND)
    shown = names or tuple(PAGES)
    if names and not invocation.is_data:
        click.echo("\n\n".join(_text(PAGES[name]) for name in names))
        return
    table = Table(("PAGE", "ABOUT"), [(name, PAGES[name].title) for name in shown])
    emit(invocation, _data(shown), table, names=shown)


def _text(page: Page) -> str:
    is_bold = is_colourful(sys.stdout)
    lines = [click.style(page.title, bold=True) if is_bold else page.title]
    for does, command in page.examples:
        lines += ["", does] if does else []
        lines.append("  " + (click.style(command, fg="cyan") if is_bold else command))
    return "\n".join(lines)


def _data(names: Sequence[str]) -> list[dict[str, object]]:
    return [
        {
            "page": name,
            "title": PAGES[name].title,
            "examples": [each._asdict() for each in PAGES[name].examples],
        }
        for name in names
    ]

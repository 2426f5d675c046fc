"""A bar for long work, drawn on stderr if that is a terminal; nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamctl.output import is_colourful

Advance = Callable[[int], None]


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Advance]:
    """Gives a function that takes how much more is done."""
    if not is_colourful(sys.stderr):
        yield _ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda amount: progress.advance(task, amount)


def _ignore(amount: int, /) -> None:
    del amount

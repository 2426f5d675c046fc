"""How long work goes on: a bar, drawn on stderr if that is a terminal, and whether it stands still."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamctl.output import is_colourful
from streamkeep_common.seams.real.clock import RealClock

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


@contextmanager
def bytes_bar(total_bytes: int | None) -> Iterator[Advance]:
    """As `progress_bar`, for bytes, with the time left; nothing is drawn if their number is not known."""
    if not total_bytes or not is_colourful(sys.stderr):
        yield _ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(bar_width=None), DownloadColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as progress:
        task = progress.add_task("", total=total_bytes)
        yield lambda amount: progress.advance(task, amount)


def _ignore(amount: int, /) -> None:
    del amount


class Stall:
    """Tells that nothing has changed for a time. The clock starts with the object."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._clock = RealClock()
        self._changed_s = self._clock.monotonic()
        self._state: tuple[int, ...] = ()

    def is_over(self, *state: int) -> bool:
        if state != self._state:
            self._state, self._changed_s = state, self._clock.monotonic()
        return self._clock.monotonic() - self._changed_s > self._timeout_s

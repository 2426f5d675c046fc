"""Help on narrow terminals: what is explained stands above what it means, unless all of it is short; no
column is a few letters wide."""

from __future__ import annotations

from collections.abc import Iterable
from shutil import get_terminal_size

import click

NARROW = 60
LEAST = 20


class HelpFormatter(click.HelpFormatter):
    """As click's, but for terminals of fewer than 60 columns, which click takes for 50 wide at least."""

    def __init__(
        self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None
    ) -> None:
        columns = min(get_terminal_size().columns, max_width or 80)
        super().__init__(indent_increment, max(columns - 2, LEAST) if width is None else width, max_width)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows = list(rows)
        if self.width < NARROW and any(len(term) > self.width // 3 for term, _ in rows):
            col_max = 0
        super().write_dl(rows, col_max, col_spacing)

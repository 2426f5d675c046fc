"""Help on narrow terminals: the meaning of an option stands below it, not in a column a few letters wide."""

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
        super().write_dl(rows, 4 if self.width < NARROW else col_max, col_spacing)

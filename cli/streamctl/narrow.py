"""What becomes of a table that is wider than the terminal, where no column could be read down any more.

Where all but the last column has room, that one is folded. Else the rows stand one below the other, as with
`\\x auto` of psql. Words are kept whole, so that a path or an id can be copied. Knows neither where the cells
come from nor where they go.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import click

GAP = "  "
LEAST = 16
"""Columns that a text needs to be folded; in fewer it is left to the terminal."""


def has_room(before: int, width: int) -> bool:
    """Whether a last column that begins so far to the right can be folded: a third of the line is its."""
    return before <= width * 2 // 3 and width - before >= LEAST


def folded(text: str, before: int, width: int) -> str:
    """Text that begins behind `before` columns, in lines that begin there too."""
    if width - before < LEAST or "\x1b" in text:
        return text
    lines = textwrap.wrap(text, width - before, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * before).join(lines)


def blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, bold: bool = False) -> str:
    """Each row as lines of `COLUMN  value`, with an empty line between two. No rows: the columns' names."""
    if not rows:
        return _bold(textwrap.fill(GAP.join(columns), width, break_long_words=False), bold=bold)
    room = max(map(len, columns))

    def line(name: str, cell: str) -> str:
        return (_bold(name.ljust(room), bold=bold) + GAP + folded(cell, room + len(GAP), width)).rstrip()

    shown = (map(line, columns, row) for row in rows)
    return "\n\n".join("\n".join(filter(None, lines)) for lines in shown)


def _bold(text: str, *, bold: bool) -> str:
    return click.style(text, bold=True) if bold else text

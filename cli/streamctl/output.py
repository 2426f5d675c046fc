"""Where words go: data to stdout as a table, JSON or YAML, notes to stderr, colour only on a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from typing import TextIO
from uuid import UUID

import click

from streamctl.invocation import NAMES, Invocation
from streamctl.narrow import GAP, blocks, folded, has_room
from streamctl.yaml_text import to_yaml

Cell = str | int | float | None | Sequence[int]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names; numbers are aligned to the right, None is shown as `-`."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def emit(invocation: Invocation, data: object, *tables: Table, names: Iterable[object] = ()) -> None:
    """Write `data` as JSON or YAML if that was asked for, or the names, a line each; else the tables, with an
    empty line between."""
    if invocation.output == NAMES:
        click.echo("".join(f"{name}\n" for name in names), nl=False)
        return
    if invocation.is_data:
        is_yaml = invocation.output == "yaml"
        click.echo(to_yaml(data) if is_yaml else json.dumps(data, indent=2, ensure_ascii=False))
        return
    width, bold = terminal_width(sys.stdout), is_colourful(sys.stdout)
    click.echo("\n\n".join(render(table, bold=bold, width=width) for table in tables))


def emit_item(invocation: Invocation, item: object) -> None:
    """Write one of many things as a line of JSON, or as an item of a list in YAML, while more may come."""
    dash = "- " if invocation.output == "yaml" else ""
    click.echo(dash + json.dumps(item, ensure_ascii=False))


def render(table: Table, *, bold: bool = False, width: int | None = None) -> str:
    """The table as aligned text without trailing spaces; one that is wider than `width` so that it can be
    read."""
    cells = [[_text(cell) for cell in row] for row in table.rows]
    widths = [max(map(_width, column)) for column in zip(table.columns, *cells, strict=True)]
    numeric = [
        bool(table.rows) and all(isinstance(row[index], int | float | None) for row in table.rows)
        for index in range(len(table.columns))
    ]
    before = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    if width is not None and before + widths[-1] > width:
        if numeric[-1] or not has_room(before, width):
            return blocks(table.columns, cells, width, bold=bold)
        cells = [[*row[:-1], folded(row[-1], before, width)] for row in cells]
    lines = [_line(row, widths, numeric) for row in [list(table.columns), *cells]]
    lines[0] = click.style(lines[0], bold=True) if bold else lines[0]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = [
        " " * (width - _width(cell)) + cell if number else cell + " " * (width - _width(cell))
        for cell, width, number in zip(cells, widths, numeric, strict=True)
    ]
    return GAP.join(padded).rstrip()


def _width(text: str) -> int:
    """In columns of a terminal; colours take none."""
    return len(click.unstyle(text)) if "\x1b" in text else len(text)


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str | int):
        return str(cell)
    if isinstance(cell, float):
        return f"{cell:.1f}"
    return ",".join(map(str, cell)) or "-"


def counted(number: int, noun: str) -> str:
    """`1 partition`, `2 partitions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def id_text(identifier: bytes) -> str:
    """A topic's id as a UUID; its first eight digits are those in the names of the topic's directories."""
    return str(UUID(bytes=identifier))


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal, unless the answer was given with the command. Abort if the answer is no."""
    if not yes and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


def note(text: str) -> None:
    """A sentence for the person who watches."""
    click.echo(text, err=True)


def terminal_width(stream: TextIO) -> int | None:
    """In columns; None if it is no terminal, and lines may be as long as they are."""
    if not stream.isatty():
        return None
    return os.get_terminal_size(stream.fileno()).columns or get_terminal_size().columns  # of $COLUMNS, or 80


def is_colourful(stream: TextIO) -> bool:
    """Whether colours and moving bars are wanted: a terminal, and NO_COLOR (no-color.org) is not set.
    A dumb terminal shows neither."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

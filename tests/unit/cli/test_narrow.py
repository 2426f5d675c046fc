"""Tables on terminals that are narrower than they are: every line fits, or holds one word that cannot."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamctl.output import Table, render

BRINGS = Table(("LEVEL", "BRINGS"), [(1, "topics, settings and brokers"), (2, "a quorum of coordinators")])
BROKERS = Table(
    ("", "BROKER", "ADDRESS", "LOG DIRECTORY", "LEADERS"),
    [("*", 1, "localhost:7201", "/srv/a", 3), ("", 2, "localhost:7202", "/srv/b", None)],
)
WORDS = st.lists(st.text("abc", max_size=10), max_size=9).map(" ".join)


def test_a_table_that_fits_is_as_it_is_without_a_terminal() -> None:
    assert render(BROKERS, width=60) == render(BROKERS)


def test_a_last_column_of_words_is_folded_where_the_others_have_room() -> None:
    assert render(BRINGS, width=30).splitlines() == [
        "LEVEL  BRINGS",
        "    1  topics, settings and",
        "       brokers",
        "    2  a quorum of",
        "       coordinators",
    ]


def test_rows_stand_one_below_the_other_where_their_columns_have_no_room() -> None:
    assert render(BROKERS, width=40).splitlines() == [
        "               *",
        "BROKER         1",
        "ADDRESS        localhost:7201",
        "LOG DIRECTORY  /srv/a",
        "LEADERS        3",
        "",
        "BROKER         2",
        "ADDRESS        localhost:7202",
        "LOG DIRECTORY  /srv/b",
        "LEADERS        -",
    ]


def test_of_no_rows_the_names_of_the_columns_are_shown() -> None:
    empty = Table(BROKERS.columns, [])
    assert render(empty, width=30).split() == ["BROKER", "ADDRESS", "LOG", "DIRECTORY", "LEADERS"]
    assert max(map(len, render(empty, width=30).splitlines())) <= 30


def test_a_path_is_kept_whole_so_that_it_can_be_copied() -> None:
    path = "/home/somebody/.local/share/streamkeep/dev/coordinator-1"
    assert path in render(Table(("ROLE", "DATA"), [("coordinator", path)]), width=40)


@given(st.lists(st.tuples(WORDS, st.integers(0, 10**9), WORDS, WORDS), max_size=3), st.integers(40, 120))
def test_no_line_is_wider_than_the_terminal_and_no_cell_is_lost(
    rows: list[tuple[str, int, str, str]], width: int
) -> None:
    shown = render(Table(("WHAT", "SIZE", "NAME", "PROBLEM"), rows), bold=True, width=width)
    assert max(len(line) for line in click.unstyle(shown).splitlines()) <= width
    words = click.unstyle(shown).split()
    assert [word for row in rows for cell in row for word in str(cell).split() if word not in words] == []


@pytest.mark.parametrize("arguments", [["config", "list", "topic"], ["cheat", "-o", "table"], ["version"]])
def test_what_a_terminal_of_40_columns_shows_fits_into_them(arguments: list[str]) -> None:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    command = [sys.executable, "-c", "from streamctl.main import main; main()", *arguments]
    with subprocess.Popen(command, stdout=theirs, env=environment | {"TERM": "dumb"}) as program:
        os.close(theirs)
        shown = _all_of(ours)
    assert program.returncode == 0
    assert [line for line in shown.splitlines() if len(line) > 40] == []


def _all_of(terminal: int) -> str:
    pieces = []
    with open(terminal, "rb", buffering=0) as screen:
        try:
            while piece := screen.read(4_096):
                pieces.append(piece)
        except OSError:  # how Linux says that nobody writes any more
            pass
    return b"".join(pieces).decode()

"""Help on a narrow terminal."""

from __future__ import annotations

import inspect

import click
import pytest
from click.testing import CliRunner

from streamctl.main import cli
from tests.unit.cli.command_tree import commands

WIDTH = 40


def examples(command: click.Command) -> set[str]:
    """Lines of its help that are shown as they are written,."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return {line for text in paragraphs if text.startswith("\b\n") for line in text.splitlines()}


def test_groups_do_not_cut_sentences_and_short_names_have_a_column_of_their_own() -> None:
    shown = CliRunner().invoke(cli, ["bench", "--help"], env={"COLUMNS": "60"}).stdout
    assert "..." not in shown.partition("Commands:")[2] and "how long is each on its way?" in " ".join(
        shown.split()
    )
    assert "  latency  Write one record after" in shown


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=[path for path, _ in commands()])
def test_help_is_readable_on_40_columns(path: str, command: click.Command) -> None:
    context = click.Context(command, info_name=f"streamctl {path}", terminal_width=WIDTH)
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    long = [line for line in lines if len(line) > WIDTH and line.strip() not in examples(command)]
    assert [line for line in long if " " in line.strip() and not line.startswith("  -")] == []
    squeezed = [line for line in lines if line.startswith(" " * (WIDTH - 20)) and len(line) < WIDTH]
    assert squeezed == [], "text in a column of a few letters"

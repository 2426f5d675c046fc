"""All commands, and a line of a shell read as they read it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

import click

from streamctl.main import cli


def commands(
    group: click.Group = cli, context: click.Context | None = None
) -> Iterator[tuple[str, click.Command]]:
    """Each with its path, as in "topic list"; groups only if they do something by themselves."""
    context = context or click.Context(cli, info_name="streamctl")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = click.Context(command, parent=context, info_name=name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield below.command_path.partition(" ")[2], command
        if isinstance(command, click.Group):
            yield from commands(command, below)


def parse(arguments: Sequence[str]) -> None:
    """Read a line to its end, and run nothing. Raises what click raises."""
    context = cli.make_context("streamctl", list(arguments))
    while isinstance(context.command, click.Group) and (rest := context._protected_args + context.args):
        name, command, left = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, left, parent=context)


def calls_of(line: str) -> list[list[str]]:
    """The arguments of each streamctl that a line of a shell runs."""
    calls: list[list[str]] = []
    current: list[str] | None = None
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    for token in lexer:
        if set(token) <= set("|&;<>()"):
            current = None
        elif token == "streamctl":
            calls.append(current := [])
        elif current is not None:
            current.append(token)
    return calls

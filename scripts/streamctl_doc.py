"""Write docs/streamctl.md from the help of the commands themselves, or check that it is fresh.

`python scripts/streamctl_doc.py` writes it; with `--check` the exit status is 1 if it differs.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator

import click
from documents import ROOT, keep

from streamctl.failures import ExitCode
from streamctl.main import cli
from streamctl.shapes import LINES, SHAPES, UNPROMISED

DOCUMENT = ROOT / "docs" / "streamctl.md"
WIDTH = 100

INTRODUCTION = """\
# streamctl

Written by `scripts/streamctl_doc.py` from the commands' own help; do not edit. `streamctl cheat` has worked
examples.

Noun, then verb: `streamctl topic create flights`. Options that all commands share may stand anywhere on the
line. Data go to stdout, everything else to stderr. Colours and moving bars are for terminals only, and not if
`NO_COLOR` is set.

**Which cluster**: the first of these that says one: `--bootstrap` or `--context` (one of the two),
`STREAMKEEP_BOOTSTRAP`, `STREAMCTL_CONTEXT`, the context in use (`streamctl context use`), the only
development cluster that runs on this machine, `127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103`. Contexts are
kept in `$XDG_CONFIG_HOME/streamkeep/streamctl.toml`, by default under `~/.config`. One with `--danger` is
shown in red, and what destroys asks for its name; `--yes` answers, and without a terminal is needed.

**Forms**: `-o table` is for people and may change. `-o json` and `-o yaml` are for programs; their shapes
stand below with each command: fields may be added, none is renamed or taken away. `text`, `number` and `flag`
(true or false) are types, `?` means or null, one item stands for all of a list, and a key in `<>` for any
number of keys. `-o name` writes one name a line where things are listed.

**Exit codes**: {exit_codes}.
"""


def document() -> str:
    root = click.Context(cli, info_name="streamctl", terminal_width=WIDTH, **cli.context_settings)
    sections = [section for path, context in _contexts(root) for section in _sections(path, context)]
    return "\n".join([INTRODUCTION.format(exit_codes=_exit_codes()), *sections])


def _exit_codes() -> str:
    return ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)


def _contexts(context: click.Context) -> Iterator[tuple[str, click.Context]]:
    """Every command below, a group before its own."""
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = click.Context(command, parent=context, info_name=name)
        yield below.command_path.partition(" ")[2], below
        if isinstance(command, click.Group):
            yield from _contexts(below)


def _sections(path: str, context: click.Context) -> Iterator[str]:
    is_noun = isinstance(context.command, click.Group) and " " not in path
    yield f"{'##' if ' ' not in path else '###'} {path}\n"
    if is_noun and path not in SHAPES:
        yield f"{inspect.cleandoc(context.command.help or '')}\n"
    if not is_noun or path in SHAPES:
        yield f"```text\n{context.command.get_help(context)}\n```\n"
    if path in SHAPES:
        yield f"With `-o json`:\n\n```json\n{json.dumps(SHAPES[path], indent=2)}\n```\n"
    elif path in LINES:
        yield f"With `-o json`: {LINES[path]}\n"
    elif path in UNPROMISED:
        yield f"With `-o json`, without a promise: {UNPROMISED[path]}\n"


def main() -> int:
    return keep(DOCUMENT, document(), description=__doc__)


if __name__ == "__main__":
    sys.exit(main())

"""A scenario script: a comment or none, a command line, `----`, its trace up to a blank line, and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterator


def traced(script: str, run: Callable[[str], str]) -> str:
    """The script with the trace that it has now, as `run` gives it for each command line."""
    return "".join(f"{comment}{command}\n----\n{run(command)}\n" for comment, command in _steps(script))


def _steps(script: str) -> Iterator[tuple[str, str]]:
    comment = ""
    expected = False
    for line in script.splitlines():
        if not line.strip():
            expected = False
            comment += "\n" if comment else ""
        elif line == "----":
            expected = True
        elif line.startswith("#"):
            comment += f"{line}\n"
        elif not expected:
            yield comment, line
            comment = ""

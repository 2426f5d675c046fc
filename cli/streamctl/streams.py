"""The streams that the process was given: whatever they are, a command does its work and has its exit code.

Knows nothing of what is written to them.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Stderr(io.FileIO):
    """What cannot be said there, to a full disk or to nobody, is lost, and nothing else: no record on its way
    is, and no exit code changes."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def prepare_streams() -> None:
    """Make what the caller closed (`<&-`, `>&-`), which is None in sys, an empty input and an output to
    nowhere; and let no failure of stderr be one of the command."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for as long as the process lives
    said = sys.stderr
    raw = _Stderr(said.fileno(), "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=said.encoding, errors=said.errors, line_buffering=True
    )


def close_stdout_quietly() -> None:
    """After the reader of our stdout went away: let the interpreter flush into nothing."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # no file, but something in memory
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)

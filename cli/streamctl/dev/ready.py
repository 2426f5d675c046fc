"""The line of JSON by which a server process says that it is ready, or what it said instead."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

_TAIL_BYTES = 4096


class NotReadyError(Exception):
    """The process ended, or said something else; the message is the last word of its log."""


async def until_ready(ready_fd: int, log: Path, log_start: int) -> None:
    """Return after the ready line. Takes over and closes `ready_fd`.

    Raises NotReadyError, with what the process logged after `log_start`.
    """
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ready_fd, "rb", buffering=0)
    )
    try:
        line = await reader.readline()
    finally:
        transport.close()
    try:
        is_ready = "ready" in json.loads(line)
    except (ValueError, TypeError):
        is_ready = False
    if not is_ready:
        raise NotReadyError(last_word(log, log_start))


def last_word(log: Path, log_start: int) -> str:
    """The last line logged after `log_start`: its event and error if it is JSON."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(log_start, end - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).decode(errors="replace").strip().splitlines()
    except OSError as error:
        return str(error)
    return _readable(lines[-1]) if lines else "it ended without a word"


def _readable(line: str) -> str:
    try:
        fields = json.loads(line)
        words = [fields["event"], *(str(fields[name]) for name in ("error", "reason") if name in fields)]
    except (ValueError, KeyError, TypeError):
        return line.strip()
    return ": ".join(words)

"""What a log directory remembers of its logs for the next start: one small file, replaced whole.

Per log, under the name of its directory: where it starts, up to where it is known to be on disk (a
recovery scans from there), and its high watermark. The three stand in one file because they are true
together: log start <= recovery point, and high watermark <= what is on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from streamkeep_broker.log.sealed_text import BrokenSealError, seal, unseal
from streamkeep_common.seams import Disk

FILE_NAME = "checkpoint"
_TITLE = "streamkeep checkpoint 1: directory, log start, recovery point, high watermark"


class Checkpoint(NamedTuple):
    """Offsets of one log."""

    log_start_offset: int
    recovery_point: int
    high_watermark: int

    @property
    def durable_floor(self) -> int:
        """Records below this offset were on disk, so that nothing of them can be torn."""
        return max(self.recovery_point, self.high_watermark)


BEGINNING = Checkpoint(0, 0, 0)
"""What is assumed of a log that no checkpoint names: all of it is scanned."""


def write_checkpoints(disk: Disk, directory: Path, checkpoints: Mapping[str, Checkpoint]) -> None:
    """Replace the directory's checkpoint file durably. Raises OSError."""
    lines = [_TITLE]
    lines += [f"{name} {start} {flushed} {high}" for name, (start, flushed, high) in checkpoints.items()]
    disk.write_file(directory / FILE_NAME, seal(lines))


def read_checkpoints(disk: Disk, directory: Path) -> dict[str, Checkpoint]:
    """What was written last, or nothing if nothing was. Raises OSError, BrokenSealError if it is damaged."""
    try:
        data = disk.read_file(directory / FILE_NAME)
    except FileNotFoundError:
        return {}
    title, *lines = unseal(data) or [""]
    if title != _TITLE:
        raise BrokenSealError(f"its first line is not {_TITLE!r}")
    return dict(map(_parse, lines))


def _parse(line: str) -> tuple[str, Checkpoint]:
    name, *numbers = line.split(" ")
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        raise BrokenSealError(f"the line {line!r} is not a name and three numbers")
    start, flushed, high = map(int, numbers)
    return name, Checkpoint(start, flushed, high)

"""Drops all of a log, so that it begins empty at another offset, whenever the power goes. Blocking.

An order is written into the log's directory first, in one durable step. Recovery carries out what it finds
ordered, so from then on the log is empty, and before it was whole. What the directory's checkpoint says of
the log must have been lowered before: it counts again once the order is gone.
"""

from __future__ import annotations

from pathlib import Path

from streamkeep_broker.log.files import (
    BEGIN_ANEW_NAME,
    LEADER_EPOCHS_NAME,
    LOG_SUFFIX,
    SEGMENT_SUFFIXES,
    offset_of,
    offset_path,
)
from streamkeep_broker.log.sealed_text import BrokenSealError, seal, unseal
from streamkeep_common.seams import Disk

_MAX_OFFSET = 2**63 - 1


def order_to_begin_anew(disk: Disk, directory: Path, offset: int) -> None:
    """From now on the log in the directory is empty and begins at `offset`. Raises OSError."""
    disk.write_file(directory / BEGIN_ANEW_NAME, seal([str(offset)]))


def finish_beginning_anew(disk: Disk, directory: Path) -> None:
    """Do what was ordered, if anything was. Raises OSError; what is left to do then is done next time."""
    order = directory / BEGIN_ANEW_NAME
    if not disk.exists(order):
        return
    for name in disk.list_directory(directory):
        if _is_of_log(name):
            disk.remove_file(directory / name)
    path = offset_path(directory, _ordered_offset(disk.read_file(order)), LOG_SUFFIX)
    disk.open(path, create=True).close()
    disk.sync_directory(directory)
    disk.remove_file(order)
    disk.sync_directory(directory)


def _ordered_offset(order: bytes) -> int:
    """Where the log is to begin. An order that a bad disk has changed still says that all is to go."""
    try:
        (text,) = unseal(order)
    except (BrokenSealError, ValueError):
        return 0
    return min(int(text), _MAX_OFFSET) if text.isascii() and text.isdecimal() else 0


def _is_of_log(name: str) -> bool:
    if name == LEADER_EPOCHS_NAME or name.endswith(".tmp"):
        return True
    return any(offset_of(name, suffix) is not None for suffix in SEGMENT_SUFFIXES)

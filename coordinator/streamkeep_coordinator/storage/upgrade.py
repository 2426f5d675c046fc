"""What a directory of format 1 may hold and one of format 2 may not.

The version before made a segment file first and wrote into it then, so that a crash could leave a newest
segment without a good frame. It holds nothing that was safe, unless something in it says so.
"""

from __future__ import annotations

from pathlib import Path

from streamkeep_common.seams import Disk
from streamkeep_coordinator.storage.frame import BadFrameError, read_frame, was_durable
from streamkeep_coordinator.storage.segment import first_indexes, segment_name


def remove_unfinished_segment(disk: Disk, directory: Path) -> None:
    """Remove the newest segment if nothing in it was ever durable."""
    firsts = first_indexes(disk.list_directory(directory))
    if not firsts:
        return
    path = directory / segment_name(firsts[-1])
    data = disk.read_file(path)
    try:
        read_frame(data, 0)
    except BadFrameError:
        if not was_durable(data, 0, firsts[-1]):
            disk.remove_file(path)
            disk.sync_directory(directory)

"""How the directory of a partition's log is called: `<topic>-<partition>.<topic id in hex>`.

The name alone says whose log it is, so a directory is either there with its identity or not there at
all; and as the id is in it, a topic that was deleted and made again never meets its old files.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from streamkeep_common.limits import ID_BYTES

DELETED_SUFFIX = ".deleted"
DAMAGED_SUFFIX = ".damaged"
MISPLACED_SUFFIX = ".misplaced"

# File systems end names at 255 bytes, and a topic may have 249: beyond this the name is cut and marked.
_MAX_TOPIC_CHARACTERS = 190
_CUT_MARK = "~"  # no topic name has it
_PATTERN = re.compile(r"(?P<topic>[a-zA-Z0-9._-]+~?)-(?P<partition>[0-9]{1,10})\.(?P<id>[0-9a-f]{32})")


class PartitionName(NamedTuple):
    """What a directory's name says."""

    topic: str
    """For people; not the whole name if that is longer than 190 characters."""
    partition: int
    topic_id: bytes

    @property
    def key(self) -> tuple[bytes, int]:
        """Topic id and partition, which alone say whose log it is."""
        return self.topic_id, self.partition


def directory_name(topic_id: bytes, topic: str, partition: int) -> str:
    """The name of the directory of one partition's log."""
    assert len(topic_id) == ID_BYTES
    if len(topic) > _MAX_TOPIC_CHARACTERS:
        topic = topic[:_MAX_TOPIC_CHARACTERS] + _CUT_MARK
    return f"{topic}-{partition}.{topic_id.hex()}"


def parse_directory_name(name: str) -> PartitionName | None:
    """The reverse, or None for any other name."""
    match = _PATTERN.fullmatch(name)
    if match is None:
        return None
    return PartitionName(match["topic"], int(match["partition"]), bytes.fromhex(match["id"]))

"""Reads log files as they lie on disk and says what is wrong with them: `streamctl log verify` and `dump`.

It changes nothing and needs no broker. A broker may be writing meanwhile: then the last segment's end may
look torn.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from streamkeep_broker.log.files import (
    INDEX_SUFFIX,
    LEADER_EPOCHS_NAME,
    LOG_SUFFIX,
    SNAPSHOT_SUFFIX,
    TIME_INDEX_SUFFIX,
    offset_of,
    offset_path,
)
from streamkeep_broker.log.index_file import BrokenIndexError
from streamkeep_broker.log.leader_epochs import BrokenEpochsError, LeaderEpochs
from streamkeep_broker.log.offset_index import OffsetIndex
from streamkeep_broker.log.producer_snapshot import BrokenSnapshotError, decode_snapshot
from streamkeep_broker.log.segment_scan import Damage, SegmentScan
from streamkeep_broker.log.time_index import TimeIndex
from streamkeep_common.seams import Disk
from streamkeep_proto.v1.records_pb2 import RecordBatch


class Finding(NamedTuple):
    """Something wrong in a file. `offset` is the first that cannot be read; None: no record is concerned."""

    path: Path
    position: int
    offset: int | None
    problem: str

    def __str__(self) -> str:
        offset = "" if self.offset is None else f", offset {self.offset}"
        return f"{self.path}, byte {self.position}{offset}: {self.problem}"


class StoredBatch(NamedTuple):
    """A whole batch, and the byte of its file at which its frame begins."""

    position: int
    batch: RecordBatch


def read_segment(disk: Disk, path: Path) -> Iterator[StoredBatch | Finding]:
    """What a segment file holds, in order: batches, and findings in place of what is no batch. Blocking.

    Raises OSError; ValueError if the file's name is not a segment's.
    """
    base_offset = offset_of(path.name, LOG_SUFFIX)
    if base_offset is None:
        raise ValueError(f"{path} is not a segment: its name is not 20 digits and {LOG_SUFFIX}")
    file = disk.open(path)
    try:
        scan = SegmentScan(file, size=file.size(), base_offset=base_offset)
        for item in scan.items():
            if isinstance(item, Damage):
                yield Finding(path, item.position, item.offset, item.reason)
            else:
                yield StoredBatch(item.position, scan.batch(item))
    finally:
        file.close()


def verify_path(disk: Disk, path: Path) -> Iterator[Finding]:
    """What is wrong with a segment, a partition's directory, or any directory above. Blocking.

    Raises OSError; ValueError for a file that is no segment.
    """
    try:
        names = disk.list_directory(path)
    except NotADirectoryError:
        for item in read_segment(disk, path):
            if isinstance(item, Finding):
                yield item
        return
    if any(offset_of(name, LOG_SUFFIX) is not None for name in names):
        yield from _verify_partition(disk, path, names)
        return
    for name in names:
        try:
            disk.list_directory(path / name)
        except NotADirectoryError:
            continue
        yield from verify_path(disk, path / name)


def _verify_partition(disk: Disk, directory: Path, names: list[str]) -> Iterator[Finding]:
    expected: int | None = None
    for name in names:
        if (base_offset := offset_of(name, LOG_SUFFIX)) is None:
            continue
        if expected is not None and expected != base_offset:
            problem = f"the segment before ends with offset {expected - 1}"
            yield Finding(directory / name, 0, expected, problem)
        expected = base_offset
        for item in read_segment(disk, directory / name):
            if isinstance(item, Finding):
                yield item
            else:
                expected = item.batch.base_offset + item.batch.last_offset_delta + 1
    for name in names:
        problem = _problem_beside(disk, directory, name)
        if problem:
            yield Finding(directory / name, 0, None, f"{problem}; the broker rebuilds it from the log")


def _problem_beside(disk: Disk, directory: Path, name: str) -> str:
    """What is wrong with an index, a snapshot or the leader epochs; empty if nothing is."""
    path = directory / name
    try:
        if (offset := offset_of(name, SNAPSHOT_SUFFIX)) is not None:
            decode_snapshot(disk.read_file(path), offset)
        elif name == LEADER_EPOCHS_NAME:
            LeaderEpochs.decode(disk.read_file(path))
        elif (base_offset := offset_of(name, INDEX_SUFFIX)) is not None:
            _check_indexes(disk, directory, base_offset)
    except FileNotFoundError as error:
        return f"{error.filename} is missing"
    except (BrokenSnapshotError, BrokenEpochsError, BrokenIndexError) as error:
        return str(error)
    return ""


def _check_indexes(disk: Disk, directory: Path, base_offset: int) -> None:
    """Of a sealed segment; the files of another may be of an earlier state."""
    segment_bytes = disk.file_size(offset_path(directory, base_offset, LOG_SUFFIX))
    offsets = disk.read_file(offset_path(directory, base_offset, INDEX_SUFFIX))
    OffsetIndex.decode(offsets, base_offset, segment_bytes)
    times = disk.read_file(offset_path(directory, base_offset, TIME_INDEX_SUFFIX))
    TimeIndex.decode(times, base_offset, segment_bytes)

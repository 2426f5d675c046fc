"""Whatever bytes lie where a log should be, the log that is opened is right about what it gives out."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from streamkeep_broker.log.checkpoints import Checkpoint
from streamkeep_broker.log.verify import Finding, StoredBatch, read_segment
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.sim.disk import SimDisk
from tests.unit.broker.log.logs import (
    PATH,
    append_values,
    make_disk,
    open_log,
    publish,
    read_values,
    segment_files,
    stop,
)

VALUES = [b"one", b"two two", b"three three three", b"four"]


def good_frames() -> bytes:
    disk = make_disk()
    log = open_log(disk)
    append_values(log, VALUES)
    publish(disk, log)
    stop(disk, log)
    return disk.read_file(segment_files(disk)[0])


GOOD = good_frames()


def disk_with(content: bytes) -> SimDisk:
    disk = make_disk()
    file = disk.open(PATH / f"{0:020d}.log", create=True)
    file.append([content])
    file.sync()
    file.close()
    disk.sync_directory(PATH)
    return disk


pieces = st.one_of(
    st.binary(max_size=200),
    st.builds(bytes, st.integers(0, 300)),
    st.builds(lambda start, end: GOOD[min(start, end) : max(start, end)], *[st.integers(0, len(GOOD))] * 2),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(pieces, max_size=4).map(b"".join), st.booleans())
def test_opening_garbage_keeps_good_frames_and_names_or_cuts_the_rest(
    garbage: bytes, good_first: bool
) -> None:
    disk = disk_with(GOOD + garbage if good_first else garbage)
    (path,) = segment_files(disk)
    items = list(read_segment(disk, path))
    log = open_log(disk, checkpoint=Checkpoint(0, 4, 4) if good_first else Checkpoint(0, 0, 0))
    content = disk.read_file(path)
    assert (GOOD + garbage if good_first else garbage).startswith(content)
    if log.defects:
        assert any(isinstance(item, Finding) for item in items)
        return
    batches = LogSegment.FromString(content).batches
    assert [batch.base_offset for batch in batches] == list(range(log.log_end_offset))
    assert [item.batch for item in items if isinstance(item, StoredBatch)] == list(batches)
    values = asyncio.run(read_values(log))
    if good_first:
        assert values[:4] == VALUES


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD)))
def test_any_prefix_opens_with_the_frames_that_are_whole(size: int) -> None:
    disk = disk_with(GOOD[:size])
    log = open_log(disk)
    assert not log.defects
    assert asyncio.run(read_values(log)) == VALUES[: log.log_end_offset]
    content = disk.read_file(segment_files(disk)[0])
    assert len(LogSegment.FromString(content).batches) == log.log_end_offset

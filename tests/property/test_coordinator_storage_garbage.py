"""Arbitrary bytes where the coordinator keeps its own: refused with a word, never believed, and no crash."""

from __future__ import annotations

import random
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.errors import CorruptFileError, DataDirectoryError
from streamkeep_coordinator.storage.frame import FrameKind, pack_frame
from streamkeep_coordinator.storage.inspect import inspect
from streamkeep_coordinator.storage.storage import Storage
from tests.sim.disk import SimDisk
from tests.unit.coordinator.storage.directories import DIRECTORY

NAMES = (
    "log-00000000000000000001.wal",
    "log-00000000000000000002.wal",
    "marks",
    "snapshot-00000000000000000001-00000000000000000001.snap",
    "snapshot-00000000000000000001-00000000000000000001.received",
)

frames = st.builds(
    pack_frame,
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 3),
    st.binary(max_size=50),
    kind=st.sampled_from(FrameKind),
)
"""Right by their checksums, and otherwise whatever comes."""

contents = st.lists(st.one_of(frames, st.binary(max_size=60)), max_size=4).map(b"".join)


@given(files=st.dictionaries(st.sampled_from(NAMES), contents), coordinator_id=st.integers(1, 2))
def test_any_content_is_recovered_or_refused(files: dict[str, bytes], coordinator_id: int) -> None:
    disk = SimDisk(random.Random(0))
    directory = DataDirectory(disk, DIRECTORY, random.Random(0))
    directory.open(coordinator_id)
    directory.format("c" * 22, 1)
    for name, content in files.items():
        disk.write_file(DIRECTORY / name, content)
    told = list(inspect(disk, DIRECTORY))
    assert {item.file for item in told} >= {name for name in files if files[name]}
    with suppress(CorruptFileError):
        found = Storage(disk, DIRECTORY).recover()
        chunks = list(found.snapshot_chunks)
        again = Storage(disk, DIRECTORY).recover()
        assert (again.entries, again.hard_state, list(again.snapshot_chunks)) == (
            found.entries,
            found.hard_state,
            chunks,
        )


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode)))
def test_any_identity_is_read_or_refused(content: bytes) -> None:
    disk = SimDisk(random.Random(0))
    disk.make_directories(DIRECTORY)
    disk.write_file(DIRECTORY / "identity.json", content)
    with suppress(DataDirectoryError):
        DataDirectory(disk, DIRECTORY, random.Random(0)).open(1)

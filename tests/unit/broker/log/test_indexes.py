"""Indexes point at or before what is looked for, and their files are believed only whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkeep_broker.log.index_file import BrokenIndexError
from streamkeep_broker.log.offset_index import OffsetIndex
from streamkeep_broker.log.time_index import TimeIndex

BASE = 5_000_000_000


def offsets_of(*entries: tuple[int, int]) -> OffsetIndex:
    index = OffsetIndex(BASE)
    for offset, position in entries:
        index.add(BASE + offset, position)
    return index


def test_the_floor_is_the_last_entry_at_or_below() -> None:
    index = offsets_of((10, 1000), (20, 2000))
    assert index.floor(BASE) == (BASE, 0)
    assert index.floor(BASE + 9) == (BASE, 0)
    assert index.floor(BASE + 10) == (BASE + 10, 1000)
    assert index.floor(BASE + 10**6) == (BASE + 20, 2000)
    assert index.last == (BASE + 20, 2000)
    assert offsets_of().last == (BASE, 0)


def test_a_bound_of_bytes_and_offsets_is_kept_in_both() -> None:
    index = offsets_of((10, 1000), (20, 2000), (30, 3000))
    assert index.floor_within(2999, BASE + 99) == (BASE + 20, 2000)
    assert index.floor_within(9999, BASE + 20) == (BASE + 20, 2000)
    assert index.floor_within(999, BASE + 99) == (BASE, 0)


def test_the_time_index_keeps_only_rising_timestamps() -> None:
    index = TimeIndex(BASE)
    for timestamp_ms, offset in ((100, 0), (100, 5), (90, 7), (200, 9)):
        index.add(timestamp_ms, BASE + offset)
    assert len(index) == 2
    assert index.last == (200, BASE + 9)
    assert index.before(100) == (-1, BASE)
    assert index.before(101) == (100, BASE)
    assert index.before(201) == (200, BASE + 9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(100, 5000)), max_size=40), st.data())
def test_an_index_file_brings_the_index_back_and_nothing_else_passes_for_it(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    index, times = OffsetIndex(BASE), TimeIndex(BASE)
    offset = position = 0
    for offset_step, position_step in steps:
        offset, position = offset + offset_step, position + position_step
        index.add(BASE + offset, position)
        times.add(position, BASE + offset)
    size = position + 100
    files = (index.encode(size), times.encode(size))
    kinds = (OffsetIndex, TimeIndex)
    again = OffsetIndex.decode(files[0], BASE, size)
    assert [again.floor(BASE + at) for at in range(0, 5000, 50)] == [
        index.floor(BASE + at) for at in range(0, 5000, 50)
    ]
    assert TimeIndex.decode(files[1], BASE, size).last == times.last
    for kind, good in zip(kinds, files, strict=True):
        with pytest.raises(BrokenIndexError, match="covers"):
            kind.decode(good, BASE, size + 1)
        with pytest.raises(BrokenIndexError):
            kind.decode(good[: data.draw(st.integers(0, len(good) - 1))], BASE, size)
        changed = bytearray(good)
        changed[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        with pytest.raises(BrokenIndexError):
            kind.decode(bytes(changed), BASE, size)
    with pytest.raises(BrokenIndexError, match="kind"):
        TimeIndex.decode(files[0], BASE, size)

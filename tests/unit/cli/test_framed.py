from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamctl.records.framed import FramedRows, framed
from tests.unit.cli.columns import Batch

parts = st.none() | st.binary(max_size=6)


@pytest.mark.parametrize("keyed", [False, True])
@given(records=st.lists(st.tuples(parts, parts), min_size=1, max_size=5), cuts=st.lists(st.integers(0, 60)))
def test_what_is_written_is_read_back_however_it_is_cut(
    *, keyed: bool, records: list[tuple[bytes | None, bytes | None]], cuts: list[int]
) -> None:
    keys, values = map(list, zip(*records, strict=True))
    data = framed(keyed=keyed)(Batch(values, keys=keys))
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    reader = FramedRows(keyed=keyed, max_bytes=100)
    found = [reader.feed(data[start:end]) for start, end in pairwise(places)]
    assert not reader.end().bad
    assert [value for rows in found for value in rows.values] == values
    assert [number for rows in found for number in rows.numbers] == list(range(1, len(records) + 1))
    if keyed:
        assert [key for rows in found for key in rows.keys or ()] == keys


def test_the_frame_is_four_bytes_big_endian() -> None:
    assert framed(keyed=False)(Batch([b"ab", b"", None])) == b"\0\0\0\2ab\0\0\0\0\xff\xff\xff\xff"
    assert framed(keyed=True)(Batch([b"ab"])) == b"\xff\xff\xff\xff\0\0\0\2ab"
    assert framed(keyed=True)(Batch([])) == b""


def test_a_length_that_cannot_be_is_named_after_what_came_before() -> None:
    rows = FramedRows(keyed=False, max_bytes=20).feed(b"\0\0\0\1atext")
    assert list(rows.values) == [b"a"] and "record 2 says that it has 1952807028 bytes" in rows.bad[0]
    rows = FramedRows(keyed=False, max_bytes=20).feed(b"\xff\xff\xff\xfe")
    assert "record 1 says that it has -2 bytes" in rows.bad[0]
    together = FramedRows(keyed=True, max_bytes=20).feed(b"\0\0\0\7" + bytes(7) + b"\0\0\0\6")
    assert "record 1 says that it has 6 bytes, the most are 20" in together.bad[0]


def test_an_input_that_ends_inside_a_record_is_told() -> None:
    reader = FramedRows(keyed=False, max_bytes=20)
    assert list(reader.feed(b"\0\0\0\1a\0\0\0\2b").values) == [b"a"]
    assert reader.end().bad == ["the input ends inside record 2"]

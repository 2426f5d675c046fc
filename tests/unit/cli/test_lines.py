from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamctl.records.lines import LineColumns, LineReader, LineTooLongError, split_keys


def read(chunks: list[bytes], **options: int) -> list[bytes]:
    reader = LineReader(**options)
    return [line for chunk in chunks for line in reader.feed(chunk)] + reader.end()


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_lines_do_not_depend_on_how_the_input_was_cut(text: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    chunks = [text[first:last] for first, last in pairwise(places)]
    expected = text.split(b"\n")
    assert read(chunks) == (expected if expected[-1] else expected[:-1])


def test_empty_lines_are_records_and_the_last_newline_is_none() -> None:
    assert read([b"a\n\nb\n"]) == [b"a", b"", b"b"]
    assert read([b"a\r\n", b"b"]) == [b"a\r", b"b"]
    assert read([]) == []


def test_a_line_over_the_limit_is_named_by_number_before_it_fills_the_memory() -> None:
    reader = LineReader(max_bytes=10)
    assert reader.feed(b"1\n2\n12345") == [b"1", b"2"]
    with pytest.raises(LineTooLongError, match="line 3 is longer than 10 bytes"):
        reader.feed(b"678901")
    with pytest.raises(LineTooLongError, match="line 2 is longer"):
        LineReader(max_bytes=10).feed(b"1\n12345678901\n3\n")


def test_keys_end_at_the_first_separator() -> None:
    lines = [b"k:v", b"k:v:w", b":v", b"k:", b"none"]
    assert split_keys(lines, b":") == LineColumns(
        [b"k", b"k", b"", b"k", None], [b"v", b"v:w", b"v", b"", b"none"]
    )
    assert split_keys(lines, None) == LineColumns(None, lines)

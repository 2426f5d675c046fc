from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamctl.records.lines import LineColumns, LineReader, LineRows, split_keys


def read(chunks: list[bytes], max_bytes: int = 1_000) -> list[bytes]:
    reader = LineReader(max_bytes, reason="the most")
    return [line for chunk in chunks for line in reader.feed(chunk).lines] + reader.end().lines


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
    reader = LineReader(10, reason="the most")
    assert reader.feed(b"1\n2\n12345") == (1, [b"1", b"2"], None)
    assert reader.feed(b"678901") == (3, [], "line 3 is longer than 10 bytes, the most")


def test_a_line_over_the_limit_is_passed_over_and_told_once() -> None:
    reader = LineReader(4, reason="the most")
    assert reader.feed(b"abc") == (1, [], None)
    assert reader.feed(b"de") == (1, [], "line 1 is longer than 4 bytes, the most")
    assert reader.feed(b"fghi") == (1, [], None)
    assert reader.feed(b"j\nk\n") == (2, [b"k"], None)
    assert reader.feed(b"\nlmn") == (3, [b""], None)
    assert reader.feed(b"op\nq") == (5, [], "line 4 is longer than 4 bytes, the most")
    assert reader.end() == (5, [b"q"], None)


def test_what_comes_before_a_line_that_is_too_long_is_given_and_what_follows_only_if_asked_for() -> None:
    for skip_bad, values, numbers in ((False, [], []), (True, [b"four"], [4])):
        rows = LineRows(separator=None, max_record_bytes=8 + 14, skip_bad=skip_bad)
        assert list(rows.feed(b"one\ntwo\n12345").values) == [b"one", b"two"]
        assert not rows.feed(b"67890").bad
        found = rows.feed(b"12345\nfour\n")
        assert (len(found.bad), list(found.values)) == (1, values)
        assert list(found.numbers) == numbers


def test_keys_end_at_the_first_separator() -> None:
    lines = [b"k:v", b"k:v:w", b":v", b"k:", b"none"]
    assert split_keys(lines, b":") == LineColumns(
        [b"k", b"k", b"", b"k", None], [b"v", b"v:w", b"v", b"", b"none"]
    )
    assert split_keys(lines, None) == LineColumns(None, lines)

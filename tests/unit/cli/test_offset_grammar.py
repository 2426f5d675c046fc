from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamctl.records.offset_grammar import (
    MAX_OFFSET,
    Kind,
    OffsetRange,
    OffsetSyntaxError,
    Position,
    parse_offsets,
    parse_span,
    resolve,
    since,
)
from streamkeep_common.limits import MAX_TIMESTAMP_MS

NOW_MS = 1_700_000_000_000
START, END = Position(Kind.START), Position(Kind.END)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("start", START),
        ("beginning", START),
        ("end", END),
        ("0", Position(Kind.OFFSET, 0)),
        ("42", Position(Kind.OFFSET, 42)),
        ("-100", Position(Kind.LAST, 100)),
        ("@1357034400000", Position(Kind.TIME, 1_357_034_400_000)),
        ("@2013-01-01", Position(Kind.TIME, 1_356_998_400_000)),
        ("@2013-01-01T10:00:00Z", Position(Kind.TIME, 1_357_034_400_000)),
        ("@2013-01-01T05:00:00-05:00", Position(Kind.TIME, 1_357_034_400_000)),
        ("@-1h", Position(Kind.TIME, NOW_MS - 3_600_000)),
        ("@-1h30m", Position(Kind.TIME, NOW_MS - 5_400_000)),
        ("@-250ms", Position(Kind.TIME, NOW_MS - 250)),
        ("1h30m", Position(Kind.TIME, NOW_MS - 5_400_000)),
        ("2013-01-01", Position(Kind.TIME, 1_356_998_400_000)),
    ],
)
def test_a_single_position_says_where_to_start(text: str, expected: Position) -> None:
    assert parse_offsets(text, now_ms=NOW_MS) == OffsetRange(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10:20", OffsetRange(Position(Kind.OFFSET, 10), Position(Kind.OFFSET, 20))),
        (":20", OffsetRange(START, Position(Kind.OFFSET, 20))),
        ("10:", OffsetRange(Position(Kind.OFFSET, 10), END)),
        (":", OffsetRange(START, END)),
        ("-5:end", OffsetRange(Position(Kind.LAST, 5), END)),
        (
            "@-2h:@-1h",
            OffsetRange(Position(Kind.TIME, NOW_MS - 7_200_000), Position(Kind.TIME, NOW_MS - 3_600_000)),
        ),
        (
            "@2013-01-01T10:00:00Z:@2013-01-01T10:00:01Z",
            OffsetRange(Position(Kind.TIME, 1_357_034_400_000), Position(Kind.TIME, 1_357_034_401_000)),
        ),
        ("@2013-01-01T10:00Z:end", OffsetRange(Position(Kind.TIME, 1_357_034_400_000), END)),
    ],
)
def test_a_range_also_says_where_to_stop(text: str, expected: OffsetRange) -> None:
    assert parse_offsets(text, now_ms=NOW_MS) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "1.5", "--5", "@", "@yesterday", "@-1", "@-1y", "1:2:3", str(MAX_OFFSET + 1)]
)
def test_anything_else_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(OffsetSyntaxError, match=r"use "):
        parse_offsets(text, now_ms=NOW_MS)


def test_a_time_is_one_that_a_record_can_have() -> None:
    assert parse_offsets("@-99999w", now_ms=NOW_MS).start == Position(Kind.TIME, 0)
    assert parse_offsets("@1850-01-01", now_ms=NOW_MS).start == Position(Kind.TIME, 0)
    assert parse_offsets(f"@{MAX_TIMESTAMP_MS}", now_ms=NOW_MS).start == Position(Kind.TIME, MAX_TIMESTAMP_MS)
    with pytest.raises(OffsetSyntaxError, match="is too late"):
        parse_offsets(f"@{MAX_TIMESTAMP_MS + 1}", now_ms=NOW_MS)


@pytest.mark.parametrize("text", ["7:5", "@-1h:@-2h", "@2013-02-01:@2013-01-31"])
def test_a_range_that_ends_before_it_starts_is_refused(text: str) -> None:
    with pytest.raises(OffsetSyntaxError, match="ends before it starts"):
        parse_offsets(text, now_ms=NOW_MS)


@given(st.text(max_size=30))
def test_no_text_does_worse_than_a_syntax_error(text: str) -> None:
    try:
        parse_offsets(text, now_ms=NOW_MS)
    except OffsetSyntaxError:
        return


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (START, 10),
        (END, 50),
        (Position(Kind.LAST, 15), 35),
        (Position(Kind.LAST, 100), 10),
        (Position(Kind.OFFSET, 7), 7),
        (Position(Kind.TIME, 1), 33),
    ],
)
def test_positions_become_offsets_of_one_partition(position: Position, expected: int) -> None:
    assert resolve(position, log_start=10, end=50, time_offset=33) == expected


def test_a_time_after_the_last_record_means_the_end() -> None:
    assert resolve(Position(Kind.TIME, 1), log_start=10, end=50, time_offset=None) == 50


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("1h", NOW_MS - 3_600_000),
        ("-1h", NOW_MS - 3_600_000),
        ("@-1h", NOW_MS - 3_600_000),
        ("2013-01-01T10:00:00Z", 1_357_034_400_000),
        ("1357034400000", 1_357_034_400_000),
    ],
)
def test_since_takes_times_as_they_are_typed(text: str, time_ms: int) -> None:
    assert parse_offsets(since(text), now_ms=NOW_MS) == OffsetRange(Position(Kind.TIME, time_ms))
    assert parse_span(since(text), "end", now_ms=NOW_MS).stop == END


@pytest.mark.parametrize("text", ["", "end", "soon", "2013-99-01", "1y"])
def test_since_takes_nothing_but_times(text: str) -> None:
    with pytest.raises(OffsetSyntaxError, match="is not a time"):
        parse_offsets(since(text), now_ms=NOW_MS)


def test_a_span_is_a_start_and_where_to_stop_said_apart() -> None:
    assert parse_span("start", None, now_ms=NOW_MS) == parse_offsets("start", now_ms=NOW_MS)
    assert parse_span("-10", "end", now_ms=NOW_MS) == parse_offsets("-10:end", now_ms=NOW_MS)
    assert parse_span("5", "9", now_ms=NOW_MS) == parse_offsets("5:9", now_ms=NOW_MS)
    assert parse_span("1:2", None, now_ms=NOW_MS) == parse_offsets("1:2", now_ms=NOW_MS)
    for start, until, complaint in (
        ("9", "5", "the range '9:5' ends before it starts"),
        ("1:2", "3", "so does --until"),
        ("1", "2:3", "so does --until"),
        ("1", "soon", "is not an offset"),
    ):
        with pytest.raises(OffsetSyntaxError, match=complaint):
            parse_span(start, until, now_ms=NOW_MS)

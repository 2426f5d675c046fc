"""Records as lines of JSON: out and in again, the shapes that are promised, and what is wrong with a line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamctl.records.json_input import JsonRows, LineError, parse_record
from streamctl.records.json_text import json_lines, yaml_items
from streamctl.records.rows import Rows
from tests.unit.cli.columns import Batch

NOW_MS = 1_700_000_000_000
some_bytes = st.one_of(st.binary(max_size=8), st.text(max_size=4).map(str.encode))
some_names = st.text(max_size=4)


def read(data: bytes, *, skip_bad: bool = False) -> Rows:
    reader = JsonRows(lambda: NOW_MS, max_record_bytes=1_000, max_line_bytes=6_000, skip_bad=skip_bad)
    rows = reader.feed(data)
    assert not reader.end().values
    return rows


def test_a_record_has_fewer_headers_of_its_own_where_some_are_added() -> None:
    reader = JsonRows(lambda: NOW_MS, max_record_bytes=1_000, max_headers=1)
    header = '{"name": "a", "value": "1"}'
    rows = reader.feed(b'{"value": ""}\n{"value": "", "headers": [%b, %b]}\n' % ((header.encode(),) * 2))
    assert list(rows.numbers) == [1] and rows.bad == ["line 2: it has 2 headers, the most are 1"]


def complaint(line: bytes) -> str:
    with pytest.raises(LineError) as raised:
        parse_record(line, max_bytes=100)
    return str(raised.value)


@given(
    st.lists(
        st.tuples(
            st.none() | some_bytes,
            st.none() | some_bytes,
            st.lists(st.tuples(some_names, some_bytes), max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_written_is_read_back_exactly(records: list[Any]) -> None:
    keys, values, headers = map(list, zip(*records, strict=True))
    by_index = {index: pairs for index, pairs in enumerate(headers) if pairs}
    rows = read(json_lines(Batch(values, keys=keys, headers=by_index, partition=7, topic="a.b-c")))
    assert not rows.bad
    assert (list(rows.values), list(rows.keys or ())) == (values, keys)
    assert [list(pairs) for pairs in rows.headers or ()] == headers
    assert list(rows.timestamps_ms or ()) == [1_000 + index for index in range(len(records))]
    assert set(rows.partitions or ()) == {7} and set(rows.topics or ()) == {"a.b-c"}


def test_the_shape_of_a_record_is_stable() -> None:
    batch = Batch(
        ["Zürich\n".encode(), None, b"\xff"],
        keys=[b"", None, b"\xfe"],
        headers={1: [("a", b"1"), ("a", b"\xff")]},
    )
    assert json_lines(batch).decode() == (
        '{"topic": "flights", "partition": 3, "offset": 40, "timestamp_ms": 1000, "key": "",'
        ' "value": "Zürich\\n", "headers": []}\n'
        '{"topic": "flights", "partition": 3, "offset": 41, "timestamp_ms": 1001, "key": null,'
        ' "value": null, "headers": [{"name": "a", "value": "1"}, {"name": "a", "value_base64": "/w=="}]}\n'
        '{"topic": "flights", "partition": 3, "offset": 42, "timestamp_ms": 1002, "key_base64": "/g==",'
        ' "value_base64": "/w==", "headers": []}\n'
    )
    assert yaml_items(batch).decode() == "".join(
        f"- {line}\n" for line in json_lines(batch).decode().splitlines()
    )


def test_no_record_begins_a_line_of_yaml_or_has_what_yaml_may_not_have() -> None:
    value = "a\x7f\x85\u2028\ufeff\0b\U0001f600"
    (item,) = yaml_items(Batch([value.encode()])).decode().splitlines()
    assert json.loads(item.removeprefix("- "))["value"] == value
    assert "\\u0085\\u2028\\ufeff" in item and "\U0001f600" in item


def test_what_a_line_lacks_is_now_no_key_any_partition_and_no_header() -> None:
    rows = read(b'{"value": "v"}\n\n  \n{"value": null, "timestamp_ms": 5}\n')
    assert rows.values == (b"v", None) and list(rows.numbers) == [1, 4]
    assert rows.timestamps_ms == (NOW_MS, 5)
    assert rows.keys == (None, None) and rows.partitions == (None, None) and rows.topics == (None, None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"{", " is not JSON: Expecting property name enclosed in double quotes at column 2"),
        (b"[" * 100_000, " is not JSON: maximum recursion depth exceeded"),
        (b'{"value": %s}' % (b"9" * 5_000), " is not JSON: Exceeds the limit"),
        (b'{"value": "\xff"}', " is not UTF-8 at byte 11"),
        (b"[1]", " is a list, not an object"),
        (b"null", " is null, not an object"),
        (b"{}", ": the field 'value' is missing; a tombstone says null"),
        (b'{"key": "k"}', ": the field 'value' is missing"),
        (b'{"value": 5}', ": value must be text or null, this line has a number"),
        (b'{"value": {"a": 1}}', ": value must be text or null, this line has an object: write it as text"),
        (b'{"value": "", "vaule": ""}', ": there is no field 'vaule'; did you mean 'value'?"),
        (b'{"value": "", "timestamp": 1}', ": there is no field 'timestamp'; did you mean 'timestamp_ms'?"),
        (b'{"value": "", "value_base64": ""}', ": it has both 'value' and 'value_base64'"),
        (b'{"value_base64": "!"}', ": value_base64 is not base64"),
        (b'{"value_base64": null}', ": value_base64 must be text, this line has null"),
        (b'{"value": "\\ud800"}', ": the value has half of a surrogate pair"),
        (
            b'{"value": "", "partition": -1}',
            ": partition must be a whole number from 0 to 2147483647, this line has -1",
        ),
        (b'{"value": "", "partition": true}', "2147483647, this line has true"),
        (b'{"value": "", "timestamp_ms": 1.5}', ", this line has 1.5"),
        (b'{"value": "", "timestamp_ms": "now"}', ", this line has text"),
        (b'{"value": "", "topic": 1}', ": topic must be text, this line has a number"),
        (
            b'{"value": "", "headers": {"a": "b"}}',
            ': headers must be a list of {"name": .., "value": ..}, this line has an object',
        ),
        (
            b'{"value": "", "headers": [1]}',
            ': each of headers must be {"name": .., "value": ..}, this line has a number',
        ),
        (b'{"value": "", "headers": [{"value": "b"}]}', ": a header has no name"),
        (b'{"value": "", "headers": [{"name": "b"}]}', ": the header 'b' has no value"),
        (b'{"value": "", "headers": [{"name": "b", "vlaue": ""}]}', "did you mean 'value'?"),
        (b'{"value": "%s"}' % (b"x" * 100), ": the record has 104 bytes, the most that it can have is 100"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(line: bytes, expected: str) -> None:
    assert expected in complaint(line)


def test_a_bad_line_ends_the_input_or_is_passed_over() -> None:
    lines = b'{"value": "1"}\n{"key": "2"}\n{"value": "3"}\nfour\n'
    stopped, going_on = read(lines), read(lines, skip_bad=True)
    assert stopped.values == (b"1",)
    assert stopped.bad == ["line 2: the field 'value' is missing; a tombstone says null"]
    assert going_on.values == (b"1", b"3") and list(going_on.numbers) == [1, 3]
    assert len(going_on.bad) == 2 and going_on.bad[1].startswith("line 4 is not JSON")

from __future__ import annotations

import re

from streamctl.records.format_string import compile_format
from streamctl.records.matching import Matcher, pick
from tests.unit.cli.columns import Batch

BATCH = Batch(
    [b"ab", None, b"b\xff", b""],
    keys=[b"k0", b"k1", None, b"k3"],
    headers={1: [("from", b"EWR"), ("from", b"JFK")], 3: [("to", b"EWR")]},
)


def found(**patterns: bytes) -> list[int]:
    return list(Matcher(**{name: re.compile(text) for name, text in patterns.items()}).places(BATCH))


def test_records_are_found_by_bytes_of_their_key_value_and_headers() -> None:
    assert found(value=rb"b") == [0, 2]
    assert found(value=rb"\xff$") == [2]
    assert found(value=rb"") == [0, 2, 3], "nothing is found in null"
    assert found(key=rb"^k[01]$") == [0, 1]
    assert found(header=rb"^from=JFK$") == [1]
    assert found(header=rb"EWR") == [1, 3]
    assert found(key=rb"k", header=rb"EWR", value=rb"^$") == [3]
    assert found() == [0, 1, 2, 3]
    assert list(Matcher(key=re.compile(b"")).places(Batch([b"v"]))) == []


def test_what_is_picked_is_written_as_it_was() -> None:
    form = compile_format("%p %o %T %k=%s %h;")
    assert form(pick(BATCH, [1, 3])) == b"3 41 1001 k1= from=EWR,from=JFK;3 43 1003 k3= to=EWR;"
    assert pick(BATCH, range(4)) is BATCH
    assert form(pick(Batch([b"a", b"b"]), [1])) == b"3 41 1001 =b ;"

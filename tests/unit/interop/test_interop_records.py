"""What `make interop` compares with must see what differs: else every client would agree with every other."""

from __future__ import annotations

import json

from tests.interop.records import PARTITIONS, Record, differences, expected, flights, from_item, to_line

SENT = [Record(None, 5, b"UA", b"value"), Record(2, 6, None, None, (("a", b"1"),))]
AT = 4  # where the key UA goes: see docs/clients.md


def found() -> list[list[tuple[int, Record]]]:
    return [list(enumerate(partition)) for partition in expected(SENT)]


def test_what_came_back_as_it_was_sent_does_not_differ() -> None:
    assert differences(expected(SENT), found()) == []


def test_every_way_to_differ_is_seen() -> None:
    (offset, record) = found()[AT][0]
    for other in (
        (offset, record._replace(value=b"another")),
        (offset, record._replace(value=None)),
        (offset, record._replace(key=None)),
        (offset, record._replace(timestamp_ms=6)),
        (offset, record._replace(headers=(("a", b""),))),
        (offset + 1, record),
    ):
        changed = found()
        changed[AT][0] = other
        assert len(differences(expected(SENT), changed)) == 1, other
    lost, twice = found(), found()
    lost[AT] = []
    twice[AT] *= 2
    assert differences(expected(SENT), lost) and differences(expected(SENT), twice)


def test_null_and_empty_are_not_the_same_on_the_way_to_a_client_and_back() -> None:
    for record in (
        Record(0, 1, None, b""),
        Record(0, 1, b"", None),
        Record(0, 1, bytes(256), b"x", (("h", b""),)),
    ):
        assert from_item({"offset": 7, **json.loads(to_line(record))}) == (7, record)


def test_the_flights_have_among_them_what_departures_lack() -> None:
    records = flights()
    assert len(records) > 27_004 and all(expected(records)) and len(expected(records)) == PARTITIONS
    assert any(record.key is None for record in records) and any(record.key == b"" for record in records)
    assert any(record.value is None for record in records) and any(record.value == b"" for record in records)
    assert any(len(record.headers) > 1 for record in records)

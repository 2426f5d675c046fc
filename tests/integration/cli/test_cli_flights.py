"""A month of real departures through `consume -o json flights | produce --json copy`, record by record."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import datetime
from typing import NamedTuple

import pytest

from streamctl.demo.flights import load_departures
from streamkeep.blocking import Consumer
from tests.integration.cli.program import Streamctl

pytestmark = pytest.mark.process

NOT_TEXT = b"\xff\x00\n"


class Sent(NamedTuple):
    """A record but for its place."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...]


class Stored(NamedTuple):
    """All of a record but the name of its topic."""

    partition: int
    offset: int
    record: Sent


def departures() -> list[Sent]:
    """Each at its own time; every third has headers that repeat, are empty, are no text."""
    found = []
    for number, (key, value) in enumerate(zip(*load_departures(), strict=True)):
        row = json.loads(value)
        timestamp_ms = round(datetime.fromisoformat(row["time_hour"]).timestamp() * 1_000) + number
        headers = (("dest", row["dest"].encode()), ("dest", b""), ("noise", NOT_TEXT))
        found.append(Sent(key, value, timestamp_ms, headers if number % 3 == 0 else ()))
    tombstone, blank = Sent(b"UA", None, 1, ()), Sent(None, b"", 2, ())
    return [*found, tombstone, blank, Sent(NOT_TEXT, NOT_TEXT, 3, ())]


def line_of(record: Sent) -> bytes:
    """Written here and not by the code that is tested."""
    fields = {
        **described("key", record.key),
        **described("value", record.value),
        "timestamp_ms": record.timestamp_ms,
        "headers": [{"name": name, **described("value", value)} for name, value in record.headers],
    }
    return json.dumps(fields).encode() + b"\n"


def described(name: str, item: bytes | None) -> dict[str, str | None]:
    if item is not None and NOT_TEXT in item:
        return {f"{name}_base64": b64encode(item).decode()}
    return {name: None if item is None else item.decode()}


def stored_in(streamctl: Streamctl, topic: str) -> list[Stored]:
    """By partition and offset, read without streamctl."""
    assert streamctl.bootstrap is not None
    with Consumer(streamctl.bootstrap) as consumer:
        partitions = consumer.partitions_for(topic)
        consumer.assign(partitions, start="earliest")
        return sorted(
            Stored(
                record.partition,
                record.offset,
                Sent(record.key, record.value, record.timestamp_ms, tuple(record.headers)),
            )
            for record in consumer.records(until=consumer.end_offsets(partitions))
        )


def test_a_month_of_flights_is_copied_with_keys_headers_timestamps_partitions_and_bytes(
    streamctl: Streamctl,
) -> None:
    for topic in ("month", "month-copy"):
        streamctl("topic", "create", topic, "--partitions", "6", "--set", "retention_ms=-1")
    sent = departures()
    streamctl.produce("month", b"".join(map(line_of, sent)), "--json", "-z", "zstd")
    told = streamctl.pipe(["-e", "-o", "json", "month"], ["--json", "month-copy"])
    original, copy = stored_in(streamctl, "month"), stored_in(streamctl, "month-copy")
    assert told == "27007 records acknowledged\n" and len(original) == len(sent) == 27_007
    assert copy == original
    assert len({each.partition for each in original}) > 3
    place = {record: number for number, record in enumerate(sent)}
    assert len(place) == len(sent)
    assert {each.record for each in original} == place.keys()
    for number in range(6):
        mine = [place[each.record] for each in original if each.partition == number]
        assert mine == sorted(mine), "a partition keeps the order of the input"

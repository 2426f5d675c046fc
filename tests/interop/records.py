"""What is sent through the cluster, how clients are told of it, and where what comes back differs from it.

A month of departures, keyed by carrier, with records in between that have what departures lack: no key, no
value, empty ones, headers, times that go back, bytes of every kind, and one as large as many batches.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from streamctl.demo.flights import load_departures
from streamkeep_common.partitioning import murmur2

PARTITIONS = 6
_ODD_EVERY = 900
_LARGE_BYTES = 300_000

Headers = tuple[tuple[str, bytes], ...]


class Record(NamedTuple):
    """One record. Before it is produced `partition` says where it is to go, None = its key decides."""

    partition: int | None
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def flights() -> list[Record]:
    """All departures, with an odd record now and then."""
    departures, odd = load_departures(), _odd_records()
    records: list[Record] = []
    for number, (key, value) in enumerate(zip(departures.keys, departures.values, strict=True)):
        if number % _ODD_EVERY == 0:
            records.append(odd[number // _ODD_EVERY % len(odd)])
        hour = datetime.fromisoformat(json.loads(value)["time_hour"])
        records.append(Record(None, int(hour.timestamp() * 1_000), key, value))
    return records


def _odd_records() -> Sequence[Record]:
    now_ms = 1_357_000_000_000
    rng = random.Random(6)
    twice = (("source", b"EWR"), ("source", b""), ("größe", bytes(range(256))))
    return (
        Record(0, now_ms, None, b"without a key"),
        Record(1, now_ms, None, None),
        Record(2, 0, None, b""),
        Record(None, now_ms - 86_400_000, b"UA", None),
        Record(None, now_ms, b"", b"an empty key"),
        Record(None, now_ms, bytes(range(256)), bytes(range(255, -1, -1)) * 4),
        Record(None, now_ms, b"DL", b"with headers", twice),
        Record(5, now_ms, None, None, (("only", b"headers"),)),
        Record(4, now_ms + 7, b"UA", b"not where its key would go"),
        Record(3, now_ms, None, rng.randbytes(_LARGE_BYTES)),
    )


def expected(records: Iterable[Record]) -> list[list[Record]]:
    """What each partition is to hold, in order."""
    partitions: list[list[Record]] = [[] for _ in range(PARTITIONS)]
    for record in records:
        number = record.partition
        if number is None:
            assert record.key is not None
            number = (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS
        partitions[number].append(record._replace(partition=number))
    return partitions


def differences(
    wanted: Sequence[Sequence[Record]], found: Sequence[Sequence[tuple[int, Record]]]
) -> list[str]:
    """A sentence for each record of a partition that is not as it should be, or stands at another offset."""
    complaints = []
    for number, (want, got) in enumerate(zip(wanted, found, strict=True)):
        if len(want) != len(got):
            complaints.append(f"partition {number} has {len(got)} records, not {len(want)}")
        for at, (record, (offset, other)) in enumerate(zip(want, got, strict=False)):
            if (at, record) != (offset, other):
                complaints.append(
                    f"partition {number}, offset {offset}: {other!s:.200} is not {record!s:.200}"
                )
    return complaints


# --- as the clients read and write them ---


def to_line(record: Record) -> bytes:
    """One JSON object and a line feed; bytes in base64."""
    item: dict[str, Any] = {"timestamp_ms": record.timestamp_ms}
    if record.partition is not None:
        item["partition"] = record.partition
    item["key"], item["value"] = _text(record.key), _text(record.value)
    item["headers"] = [(name, _text(value)) for name, value in record.headers]
    return json.dumps(item).encode() + b"\n"


def from_item(item: dict[str, Any]) -> tuple[int, Record]:
    """The offset and the record of a line that was parsed."""
    headers = tuple((name, _bytes(value) or b"") for name, value in item["headers"] or ())
    record = Record(
        item["partition"], item["timestamp_ms"], _bytes(item["key"]), _bytes(item["value"]), headers
    )
    return item["offset"], record


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)

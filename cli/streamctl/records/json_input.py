"""Records out of lines of JSON, in the very shape that `json_text` writes. Pure.

    {"topic": .., "partition": .., "offset": .., "timestamp_ms": .., "key": .., "value": .., "headers": [..]}

Only the value must be there: nothing said of a tombstone is taken for one. `key_base64` and `value_base64`
stand for bytes that are no text, in headers too. The offset is not read: the topic gives a new one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from streamctl.records.lines import LineReader, Lines
from streamctl.records.rows import Rows
from streamkeep.producer.arguments import record_size
from streamkeep_common.limits import MAX_HEADERS_PER_RECORD, MAX_TIMESTAMP_MS, MIB

MAX_LINE_BYTES = 64 * MIB
"""The largest record of 8 MiB has six times as many bytes if each must be written as an escape."""

_FIELDS = (
    "topic",
    "partition",
    "offset",
    "timestamp_ms",
    "key",
    "key_base64",
    "value",
    "value_base64",
    "headers",
)
_KNOWN = frozenset(_FIELDS)
_HEADER = '{"name": .., "value": ..}'
_HEADER_FIELDS = ("name", "value", "value_base64")
_ENCODED = {"key": "key_base64", "value": "value_base64"}
_MAX_PARTITION = 2**31 - 1


class LineError(ValueError):
    """What is wrong with a line."""


class JsonRecord(NamedTuple):
    """One line. What is None was not said, but for key and value, where it is null."""

    topic: str | None
    partition: int | None
    timestamp_ms: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class JsonRows:
    """Each line is a record; empty lines are passed over. A RowsReader.

    `now_ms` is asked for records without a time. `max_record_bytes` is what a record may take in a batch.
    `max_headers` is how many. `repartition` leaves out which partition they say.
    """

    noun = "line"

    def __init__(
        self,
        now_ms: Callable[[], int],
        *,
        max_record_bytes: int,
        max_headers: int = MAX_HEADERS_PER_RECORD,
        max_line_bytes: int = MAX_LINE_BYTES,
        skip_bad: bool = False,
        repartition: bool = False,
    ) -> None:
        self._now_ms = now_ms
        self._max_record_bytes = max_record_bytes
        self._max_headers = max_headers
        self._skip_bad = skip_bad
        self._repartition = repartition
        self._reader = LineReader(max_line_bytes, reason="the most that a line of JSON can have")

    def feed(self, chunk: bytes) -> Rows:
        return self._rows(self._reader.feed(chunk))

    def end(self) -> Rows:
        return self._rows(self._reader.end())

    def _rows(self, found: Lines) -> Rows:
        if found.too_long is not None and not self._skip_bad:
            return Rows((), (), bad=[found.too_long])
        bad = [] if found.too_long is None else [found.too_long]
        numbers, records = [], []
        for number, line in enumerate(found.lines, found.first):
            try:
                record = self._record(line) if line.strip() else None
            except LineError as error:
                bad.append(f"line {number}{error}")
                if not self._skip_bad:
                    break
            else:
                if record is not None:
                    numbers.append(number)
                    records.append(record)
        return self._columns(numbers, records, bad)

    def _record(self, line: bytes) -> JsonRecord:
        return parse_record(line, max_bytes=self._max_record_bytes, max_headers=self._max_headers)

    def _columns(self, numbers: Sequence[int], records: Iterable[JsonRecord], bad: Sequence[str]) -> Rows:
        if not numbers:
            return Rows((), (), bad=bad)
        topics, partitions, times_ms, keys, values, headers = zip(*records, strict=True)
        if None in times_ms:
            now_ms = self._now_ms()
            times_ms = tuple(now_ms if time_ms is None else time_ms for time_ms in times_ms)
        said = None if self._repartition else partitions
        return Rows(numbers, values, keys, headers, times_ms, said, topics, bad)


def parse_record(line: bytes, *, max_bytes: int, max_headers: int = MAX_HEADERS_PER_RECORD) -> JsonRecord:
    """LineError with words that fit behind `line 7`, if it is no record, larger than `max_bytes`, or has more
    than `max_headers`."""
    try:
        fields = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise LineError(
            f" is not UTF-8 at byte {error.start}: bytes that are no text belong in base64"
        ) from None
    except json.JSONDecodeError as error:
        raise LineError(f" is not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise LineError(f" is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise LineError(f" is {_kind(fields)}, not an object with the fields of a record")
    try:
        record = _record(fields)
    except LineError as error:
        raise LineError(f": {error}") from None
    size = record_size(record.value, record.key, record.headers)
    if size > max_bytes:
        raise LineError(f": the record has {size} bytes, the most that it can have is {max_bytes}")
    if len(record.headers) > max_headers:
        raise LineError(f": it has {len(record.headers)} headers, the most are {max_headers}")
    return record


def _record(fields: Mapping[str, Any]) -> JsonRecord:
    if not fields.keys() <= _KNOWN:
        _check_names(fields, _FIELDS)
    if "value" not in fields and "value_base64" not in fields:
        raise LineError("the field 'value' is missing; a tombstone says null")
    topic = fields.get("topic")
    if topic is not None and not isinstance(topic, str):
        raise _wrong("topic", "text", topic)
    return JsonRecord(
        topic,
        _whole(fields, "partition", _MAX_PARTITION),
        _whole(fields, "timestamp_ms", MAX_TIMESTAMP_MS),
        _bytes(fields, "key"),
        _bytes(fields, "value"),
        _headers(fields.get("headers")),
    )


def _check_names(fields: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in fields:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            offer = f"did you mean '{near[0]}'?" if near else f"those known are {', '.join(known)}"
            raise LineError(f"there is no field '{name}'; {offer}")


def _whole(fields: Mapping[str, Any], name: str, largest: int) -> int | None:
    number = fields.get(name)
    if number is None:
        return None
    if type(number) is not int or not 0 <= number <= largest:
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        shown = number if is_number else _kind(number)
        raise LineError(f"{name} must be a whole number from 0 to {largest}, this line has {shown}")
    return number


def _bytes(fields: Mapping[str, Any], name: str) -> bytes | None:
    """Of `name`, or of `name_base64`. None if neither is there."""
    encoded_name = _ENCODED[name]
    if encoded_name in fields:
        if name in fields:
            raise LineError(f"it has both '{name}' and '{encoded_name}'")
        return _decoded(encoded_name, fields[encoded_name])
    text = fields.get(name)
    if text is None:
        return None
    if not isinstance(text, str):
        raise LineError(f"{_wrong(name, 'text or null', text)}: write it as text, within quotes")
    return _encoded(name, text)


def _decoded(name: str, text: object) -> bytes:
    if not isinstance(text, str):
        raise _wrong(name, "text", text)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise LineError(f"{name} is not base64: {error}") from None


def _encoded(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise LineError(f"the {name} has half of a surrogate pair, which no UTF-8 can say") from None


def _headers(items: object) -> Sequence[tuple[str, bytes]]:
    if items is None or items == []:
        return ()
    if not isinstance(items, list):
        raise _wrong("headers", f"a list of {_HEADER}", items)
    return [_header(item) for item in items]


def _header(item: object) -> tuple[str, bytes]:
    if not isinstance(item, dict):
        raise _wrong("each of headers", _HEADER, item)
    _check_names(item, _HEADER_FIELDS)
    name, value = item.get("name"), _bytes(item, "value")
    if not isinstance(name, str):
        raise LineError("a header has no name")
    if value is None:
        raise LineError(f"the header '{name}' has no value; an empty one is \"\"")
    _encoded("name of a header", name)
    return name, value


def _wrong(name: str, expected: str, found: object) -> LineError:
    """What must be comes first: who reads only half a sentence reads the rule."""
    return LineError(f"{name} must be {expected}, this line has {_kind(found)}")


def _kind(value: object) -> str:
    """What JSON calls it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names[type(value)]

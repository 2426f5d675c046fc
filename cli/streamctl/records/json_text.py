"""Records as JSON, one a line: exact for any bytes, readable where they are text. Pure.

    {"topic": .., "partition": .., "offset": .., "timestamp_ms": .., "key": .., "value": .., "headers": [..]}

A null is null. Bytes that are not UTF-8 stand in base64 under the name with `_base64` behind it. `json_input`
reads it back. The shape is a promise: fields may be added, at the end.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from itertools import repeat
from json.encoder import encode_basestring as quoted
from typing import Any

from streamctl.records.format_string import Columns

JsonFields = dict[str, Any]
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON may have within quotes and YAML may not, or takes for the end of a line."""


def bytes_fields(name: str, value: bytes | None) -> JsonFields:
    """`{name: text}`, or `{name_base64: ..}` if it is no text."""
    if value is None:
        return {name: None}
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode()}


def header_fields(headers: Sequence[tuple[str, bytes]]) -> list[JsonFields]:
    """In the producer's order; a name may stand more than once."""
    return [{"name": name, **bytes_fields("value", value)} for name, value in headers]


def json_lines(batch: Columns) -> bytes:
    """All records of a batch; a Formatter."""
    return _lines(batch, "").encode()


def yaml_items(batch: Columns) -> bytes:
    """The same as items of one list in YAML, which reads JSON; a Formatter."""
    return _UNPRINTABLE.sub(_escaped, _lines(batch, "- ")).encode()


def _lines(batch: Columns, before: str) -> str:
    """What all records of a batch share is written once; the rest column by column."""
    topic = json.dumps(batch.topic, ensure_ascii=False).replace("%", "%%")
    head = f'{before}{{"topic": {topic}, "partition": {batch.partition}'
    template = head + ', "offset": %d, "timestamp_ms": %d, %s, %s, "headers": %s}\n'
    rows = zip(
        batch.offsets,
        batch.timestamps_ms,
        repeat('"key": null', len(batch.values)) if batch.keys is None else _texts("key", batch.keys),
        _texts("value", batch.values),
        _headers(batch),
        strict=True,
    )
    return "".join(map(template.__mod__, rows))


def _texts(name: str, column: Iterable[bytes | None]) -> list[str]:
    """`bytes_fields` of each, without the braces."""
    start = f'"{name}": '
    return [_base64(name, item) if (text := _decoded(item)) is None else start + text for item in column]


def _decoded(item: bytes | None) -> str | None:
    """As JSON has it. None if it is no text."""
    if item is None:
        return "null"
    try:
        return quoted(item.decode())
    except UnicodeDecodeError:
        return None


def _base64(name: str, item: bytes | None) -> str:
    return json.dumps(bytes_fields(name, item))[1:-1]


def _headers(batch: Columns) -> Iterable[str]:
    if not batch.headers:
        return repeat("[]", len(batch.values))
    return [
        json.dumps(header_fields(batch.headers.get(index, ())), ensure_ascii=False)
        for index in range(len(batch.values))
    ]


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"

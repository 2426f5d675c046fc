"""Records as JSON, one a line: exact for any bytes, readable where they are text. Pure.

    {"topic": .., "partition": .., "offset": .., "timestamp_ms": .., "key": .., "value": .., "headers": [..]}

A null is null. Bytes that are not UTF-8 stand in base64 under the name with `_base64` behind it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from streamctl.records.format_string import Columns

JsonFields = dict[str, Any]


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
    return b"".join(_line(batch, index) for index in range(len(batch.values)))


def yaml_items(batch: Columns) -> bytes:
    """The same as items of one list in YAML, which reads JSON; a Formatter."""
    return b"".join(b"- " + _line(batch, index) for index in range(len(batch.values)))


def _line(batch: Columns, index: int) -> bytes:
    fields = {
        "topic": batch.topic,
        "partition": batch.partition,
        "offset": batch.offsets[index],
        "timestamp_ms": batch.timestamps_ms[index],
        **bytes_fields("key", None if batch.keys is None else batch.keys[index]),
        **bytes_fields("value", batch.values[index]),
        "headers": header_fields(batch.headers.get(index, ())),
    }
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"

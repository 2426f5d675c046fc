"""From keys and values of the application's types to bytes.

Pure. All of a call is encoded before anything of it is buffered: what cannot be written leaves no trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from streamkeep.producer.record import ProducerRecord
from streamkeep.serializers import BYTES, Serializer
from streamkeep_common.errors import RecordEncodeError

Field = Literal["key", "value"]


class RecordEncoder:
    """Writes keys and values with one serializer each. RecordEncodeError for what cannot be written."""

    def __init__(self, key_serializer: Serializer[Any], value_serializer: Serializer[Any]) -> None:
        self._serializers: dict[Field, Serializer[Any]] = {"key": key_serializer, "value": value_serializer}

    def record(self, record: ProducerRecord[Any, Any], index: int = 0) -> ProducerRecord[bytes, bytes]:
        """The record as bytes; `index` says which of its call it is."""
        topic = record.topic
        return ProducerRecord(
            topic,
            self.field(topic, "value", record.value, index),
            self.field(topic, "key", record.key, index),
            record.headers,
            record.timestamp_ms,
            record.partition,
        )

    def field(self, topic: str, field: Field, item: Any, index: int = 0) -> bytes | None:
        """One key or value as bytes."""
        return self.column(topic, field, (item,), index)[0]

    def column(
        self, topic: str, field: Field, column: Sequence[Any], first_index: int = 0
    ) -> Sequence[bytes | None]:
        """Keys or values as bytes."""
        serializer = self._serializers[field]
        if serializer is BYTES:
            return column
        encode = serializer.encode
        encoded: list[bytes | None] = []
        try:
            for item in column:
                encoded.append(None if item is None else _bytes(encode(item)))  # noqa: PERF401 - see below
        except Exception as error:
            index = first_index + len(encoded)
            reason = (str(error) or type(error).__name__).splitlines()[0]
            message = (
                f"the {field} of a record for '{topic}' cannot be written as {serializer.name}: {reason}"
            )
            raise RecordEncodeError(message, topic=topic, field=field, index=index) from error
        return encoded


def _bytes(encoded: object) -> bytes:
    """A serializer that returns None would make a tombstone of a value."""
    if encoded.__class__ is not bytes:
        raise TypeError(f"the serializer returned {type(encoded).__name__} instead of bytes")
    assert isinstance(encoded, bytes)
    return encoded

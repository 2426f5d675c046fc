"""From the bytes of a batch to keys and values of the application's types.

Pure. Knows nothing of where batches come from, nor of positions: it says which record cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from streamkeep.consumer.records import ConsumedBatch
from streamkeep.serializers import BYTES, Serializer
from streamkeep_common.errors import RecordDecodeError

Column = Sequence[bytes | None]


class _Decoder:
    """Reads one column."""

    def __init__(self, field: Literal["key", "value"], serializer: Serializer[Any]) -> None:
        self.field = field
        self.name = serializer.name
        self._decode: Callable[[bytes], Any] | None = None if serializer is BYTES else serializer.decode

    def column(self, column: Column) -> tuple[Sequence[Any], Exception | None]:
        """The values before the first that cannot be read, and what is wrong with that one."""
        decode = self._decode
        if decode is None:
            return column, None
        values: list[Any] = []
        try:
            for data in column:
                values.append(None if data is None else decode(data))  # noqa: PERF401 - see its length below
        except Exception as error:  # whatever it is: the loop has to be told which record, to get past it
            return values, error
        return values, None


class BatchDecoder:
    """Reads keys and values with one serializer each."""

    def __init__(self, key_serializer: Serializer[Any], value_serializer: Serializer[Any]) -> None:
        self._key = _Decoder("key", key_serializer)
        self._value = _Decoder("value", value_serializer)

    def decode(
        self, batch: ConsumedBatch[bytes, bytes]
    ) -> tuple[ConsumedBatch[Any, Any], RecordDecodeError | None]:
        """The records before the first that cannot be read, and the error that says so of that one."""
        values, bad_value = self._value.column(batch.values)
        keys, bad_key = (None, None) if batch.keys is None else self._key.column(batch.keys)
        failure: RecordDecodeError | None = None
        if bad_key is not None and keys is not None and len(keys) <= len(values):
            failure = _failure(batch, len(keys), self._key, bad_key)
        elif bad_value is not None:
            failure = _failure(batch, len(values), self._value, bad_value)
        good = batch if failure is None else batch.split(failure.offset)[0]
        count = len(good)
        decoded: ConsumedBatch[Any, Any] = ConsumedBatch(
            batch.topic_partition,
            offsets=good.offsets,
            timestamps_ms=good.timestamps_ms,
            keys=None if keys is None else keys[:count],
            values=values[:count],
            headers=good.headers,
            leader_epoch=good.leader_epoch,
            next_offset=good.next_offset,
            size_bytes=good.size_bytes,
            finished=True,
        )
        return decoded, failure


def _failure(
    batch: ConsumedBatch[bytes, bytes], index: int, decoder: _Decoder, cause: Exception
) -> RecordDecodeError:
    column = batch.values if decoder.field == "value" or batch.keys is None else batch.keys
    offset, data = batch.offsets[index], column[index]
    reason = (str(cause) or type(cause).__name__).splitlines()[0]
    failure = RecordDecodeError(
        f"{batch.topic_partition} at offset {offset}: the {decoder.field} is not {decoder.name}: {reason}",
        topic=batch.topic,
        partition=batch.partition,
        offset=offset,
        field=decoder.field,
        data=data or b"",
    )
    failure.__cause__ = cause
    return failure

"""One record on its way into a producer, as interceptors see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Generic, Self

from streamkeep.producer.arguments import HeadersArgument, check_lengths
from streamkeep.serializers import K, V


@dataclass(frozen=True, slots=True)
class ProducerRecord(Generic[K, V]):
    """What `send` was given. None as `timestamp_ms` is the time of sending, as `partition` the key's own."""

    topic: str
    value: V | None
    key: K | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int | None = None
    partition: int | None = None

    def with_header(self, name: str, value: bytes) -> Self:
        """The same with one header more, behind the others."""
        return replace(self, headers=(*self.headers, (name, value)))


def header_tuple(headers: HeadersArgument | None) -> tuple[tuple[str, bytes], ...]:
    """Headers as a record has them, whichever way they were given."""
    if not headers:
        return ()
    return tuple(headers.items() if isinstance(headers, Mapping) else headers)


def records_of(
    topic: str,
    values: Sequence[V | None],
    keys: Sequence[K | None] | None,
    headers: Sequence[HeadersArgument | None] | None,
    timestamps_ms: Sequence[int] | int | None,
    *,
    partition: int | None,
) -> list[ProducerRecord[K, V]]:
    """Columns as records. ValueError if they are not of one length."""
    check_lengths(len(values), keys, headers, timestamps_ms)
    times = (
        repeat(timestamps_ms) if timestamps_ms is None or isinstance(timestamps_ms, int) else timestamps_ms
    )
    return [
        ProducerRecord(topic, value, key, header_tuple(pairs), timestamp_ms, partition)
        for value, key, pairs, timestamp_ms in zip(
            values, repeat(None) if keys is None else keys, headers or repeat(None), times, strict=False
        )
    ]

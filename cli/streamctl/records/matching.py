"""Which records of a batch are wanted: by regular expressions on bytes, and so many at most. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamctl.records.format_string import Columns

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Matcher:
    """Records where each expression that is given is found somewhere in the key, in the value, or in a
    header as `name=value`. In what is null nothing is found.
    """

    key: re.Pattern[bytes] | None = None
    value: re.Pattern[bytes] | None = None
    header: re.Pattern[bytes] | None = None

    @property
    def takes_all(self) -> bool:
        return self.key is self.value is self.header is None

    def places(self, batch: Columns) -> Sequence[int]:
        """Where in the batch they are."""
        places: Sequence[int] = range(len(batch.values))
        if self.key is not None:
            places = [] if batch.keys is None else _found(self.key, batch.keys, places)
        if self.value is not None:
            places = _found(self.value, batch.values, places)
        if self.header is not None:
            pattern, headers = self.header, batch.headers
            places = [place for place in places if place in headers and _in_headers(pattern, headers[place])]
        return places


def _found(
    pattern: re.Pattern[bytes], column: Sequence[bytes | None], places: Sequence[int]
) -> Sequence[int]:
    search = pattern.search
    return [place for place in places if (item := column[place]) is not None and search(item)]


def _in_headers(pattern: re.Pattern[bytes], headers: Headers) -> bool:
    return any(pattern.search(b"%b=%b" % (name.encode(), value)) for name, value in headers)


@dataclass(frozen=True, slots=True)
class Picked:
    """Some records of a batch; it is Columns, too."""

    topic: str
    partition: int
    offsets: Sequence[int]
    timestamps_ms: Sequence[int]
    keys: Sequence[bytes | None] | None
    values: Sequence[bytes | None]
    headers: Mapping[int, Headers]


def pick(batch: Columns, places: Sequence[int]) -> Columns:
    """The records at these places, in their order."""
    if len(places) == len(batch.values):
        return batch
    headers = batch.headers
    return Picked(
        batch.topic,
        batch.partition,
        [batch.offsets[place] for place in places],
        [batch.timestamps_ms[place] for place in places],
        None if batch.keys is None else [batch.keys[place] for place in places],
        [batch.values[place] for place in places],
        {new: headers[old] for new, old in enumerate(places) if old in headers},
    )

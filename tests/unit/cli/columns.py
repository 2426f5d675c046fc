"""A batch by hand, for tests of what is written of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Batch:
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None] | None = None
    topic: str = "flights"
    partition: int = 3
    headers: Mapping[int, Sequence[tuple[str, bytes]]] = field(default_factory=dict)
    first_offset: int = 40
    first_timestamp_ms: int = 1_000

    @property
    def offsets(self) -> Sequence[int]:
        return range(self.first_offset, self.first_offset + len(self.values))

    @property
    def timestamps_ms(self) -> Sequence[int]:
        return [self.first_timestamp_ms + index for index in range(len(self.values))]

"""The producer's options, checked once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from streamkeep.producer.interceptors import ProducerInterceptor
from streamkeep_common.limits import MIB
from streamkeep_common.records import Codec
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]

MAX_IN_FLIGHT = 5
"""A broker remembers so many batches of a producer and partition to recognise duplicates (KIP-98)."""

MAX_BATCH_BYTES = MIB


class ProducerArguments(TypedDict, total=False):
    """What `Producer` takes whatever the types of its keys and values; `Producer` documents each."""

    linger_ms: float
    batch_bytes: int
    buffer_bytes: int
    compression: Compression
    delivery_timeout_ms: int
    max_in_flight: int
    interceptors: Sequence[ProducerInterceptor]
    network: Network | None
    clock: Clock | None
    rng: random.Random | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerOptions:
    """See `Producer`, which documents each. ValueError if one makes no sense."""

    linger_ms: float = 5
    batch_bytes: int = MAX_BATCH_BYTES
    buffer_bytes: int = 64 * MIB
    compression: Compression = "none"
    delivery_timeout_ms: int = 120_000
    max_in_flight: int = MAX_IN_FLIGHT

    def __post_init__(self) -> None:
        _check(self.linger_ms >= 0, "linger_ms cannot be negative")
        _check(0 < self.batch_bytes <= MAX_BATCH_BYTES, f"batch_bytes is 1 to {MAX_BATCH_BYTES}")
        _check(self.buffer_bytes >= self.batch_bytes, "buffer_bytes has to hold a batch of batch_bytes")
        _check(self.delivery_timeout_ms > 0, "delivery_timeout_ms has to be positive")
        _check(1 <= self.max_in_flight <= MAX_IN_FLIGHT, f"max_in_flight is 1 to {MAX_IN_FLIGHT}")
        _check(
            self.compression.upper() in Codec.__members__,
            f"compression is none, gzip, snappy, lz4 or zstd, not '{self.compression}'",
        )

    @property
    def codec(self) -> Codec:
        return Codec[self.compression.upper()]


def _check(fine: bool, complaint: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not fine:
        raise ValueError(complaint)

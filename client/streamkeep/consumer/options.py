"""The consumer's options, checked once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from streamkeep.consumer.interceptors import ConsumerInterceptor
from streamkeep_common.limits import MIB
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network

Reset = Literal["error", "earliest", "latest"]

FETCH_BUFFER_BYTES = 32 * MIB
"""What a consumer may fetch ahead if nothing is said."""


class ConsumerArguments(TypedDict, total=False):
    """What `Consumer` takes whatever the types of its keys and values; `Consumer` documents each."""

    reset: Reset
    fetch_buffer_bytes: int
    rack: str
    request_timeout_ms: int | None
    interceptors: Sequence[ConsumerInterceptor]
    network: Network | None
    clock: Clock | None
    rng: random.Random | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerOptions:
    """See `Consumer`. ValueError if one makes no sense."""

    reset: Reset = "error"
    fetch_buffer_bytes: int = FETCH_BUFFER_BYTES
    rack: str = ""
    request_timeout_ms: int | None = None

    def __post_init__(self) -> None:
        if self.reset not in ("error", "earliest", "latest"):
            raise ValueError(f"reset is error, earliest or latest, not '{self.reset}'")
        if self.fetch_buffer_bytes < 1:
            raise ValueError("fetch_buffer_bytes has to be positive")
        if self.request_timeout_ms is not None and self.request_timeout_ms < 1:
            raise ValueError("request_timeout_ms has to be positive")

"""The active coordinator, as replication sees it: somebody to call while there is a session."""

from __future__ import annotations

from typing import Protocol, TypeVar

from google.protobuf.message import Message

from streamkeep_common.retry import RetryPolicy
from streamkeep_common.seams import UnaryMethod

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

CALL_TIMEOUT_S = 1.5
"""A coordinator silent for longer is not the active one any more."""

RETRY = RetryPolicy(first_wait_ms=50, max_wait_ms=500)
"""Between calls that failed as a whole. There is always a next one, so its budget does not count."""

MAX_PARTITIONS_PER_CALL = 1_000
"""What more partitions have to say goes with the next call."""


class ActiveCoordinator(Protocol):
    """Whoever is active; it changes over time."""

    @property
    def is_open(self) -> bool:
        """There is a session."""
        ...

    @property
    def broker_epoch(self) -> int:
        """Of this broker's registration."""
        ...

    async def call(self, method: UnaryMethod[Q, R], request: Q, *, timeout_s: float) -> R:
        """Raises StreamkeepError, after which nobody knows whether the call had an effect."""
        ...

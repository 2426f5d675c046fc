"""What every service checks before it looks at a request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import Message

from streamkeep_common.errors import ClusterMismatchError
from streamkeep_common.seams import RpcError, ServerStream, Status
from streamkeep_coordinator.metadata.limits import MAX_ITEMS_PER_REQUEST

Q = TypeVar("Q", bound=Message)
P = TypeVar("P", bound=Message)

MAX_ECHO = 4_096
"""Characters of a name, right or wrong, that an answer repeats."""

FIRST_MESSAGE_TIMEOUT_S = 3.0
"""Who opens a stream and says nothing is cut off."""


async def first_message(stream: ServerStream[Q, P]) -> Q | None:
    """What a stream begins with; None if the caller ended it. RpcError(DEADLINE_EXCEEDED) if it is silent."""
    try:
        async with asyncio.timeout(FIRST_MESSAGE_TIMEOUT_S):
            return await stream.receive()
    except TimeoutError:
        raise RpcError(
            Status.DEADLINE_EXCEEDED, f"nothing was said on the stream for {FIRST_MESSAGE_TIMEOUT_S} s"
        ) from None


def check_cluster_epoch(seen: int, own: int) -> None:
    """ClusterMismatchError if the caller has seen the cluster recovered by force, and this coordinator has
    not: what it says is over.
    """
    if seen > own:
        raise ClusterMismatchError(
            f"the cluster was recovered at epoch {seen}, and this coordinator is still at {own}"
        )


def check_topics(topics: Sequence[str | bytes]) -> None:
    """RpcError(INVALID_ARGUMENT) if a request names too many topics, or one by too long a name."""
    if len(topics) > MAX_ITEMS_PER_REQUEST:
        raise RpcError(
            Status.INVALID_ARGUMENT,
            f"the request speaks of topics {len(topics)} times, by name or by id: "
            f"send more than {MAX_ITEMS_PER_REQUEST} in several requests",
        )
    longest = max(map(len, topics), default=0)
    if longest > MAX_ECHO:
        raise RpcError(Status.INVALID_ARGUMENT, f"the request names a topic by {longest} characters")

"""What every service checks before it looks at a request."""

from __future__ import annotations

from typing import TypeVar

from streamkeep_common.errors import StreamkeepError
from streamkeep_common.seams import RpcError, Status
from streamkeep_coordinator.controller import Committed, Controller
from streamkeep_coordinator.metadata import Command
from streamkeep_coordinator.metadata.limits import MAX_ITEMS_PER_REQUEST

R = TypeVar("R")

FIRST_MESSAGE_TIMEOUT_S = 3.0
"""Who opens a stream and says nothing is cut off."""


def check_count(items: int, what: str) -> None:
    """RpcError(INVALID_ARGUMENT) if a request names too many things."""
    if items > MAX_ITEMS_PER_REQUEST:
        raise RpcError(
            Status.INVALID_ARGUMENT,
            f"the request names {items} {what}: send more than {MAX_ITEMS_PER_REQUEST} in several requests",
        )


async def execute(controller: Controller, command: Command[R]) -> Committed[R]:
    """As `Controller.execute`; what concerns the request as a whole becomes an RpcError."""
    try:
        return await controller.execute(command)
    except StreamkeepError as error:
        status = Status.UNAVAILABLE if error.retriable else Status.INVALID_ARGUMENT
        raise RpcError(status, str(error)) from error

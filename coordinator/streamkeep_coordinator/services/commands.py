"""A command carried out for a caller who gets what it raises in the response's `error`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from streamkeep_common.errors import StreamkeepError, to_proto
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.metadata import Command

R = TypeVar("R")


async def answer(controller: Controller, command: Command[R], response: Callable[..., R]) -> R:
    """The command's answer, which is a `response`, or one that says why there is none."""
    try:
        return (await controller.execute(command)).answer
    except StreamkeepError as error:
        return response(error=to_proto(error))

"""A mistake that has been made in real systems, to be patched into the shipping classes of this process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.sim.seed_run import Result, SeedFailedError
from tests.sim.violation import InvariantError


class StumbledError(Exception):
    """A run ended, but not because a checker saw something."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`break_it` patches the code for as long as it is entered; `look` runs a seed, and says which promise a
    checker found broken (empty = none). StumbledError.
    """

    name: str
    mistake: str
    break_it: Callable[[], AbstractContextManager[None]]
    look: Callable[[int], str]


def look_with(run_seed: Callable[[int], Result], seed: int) -> str:
    """Which promise a checker finds broken; empty = none. StumbledError."""
    try:
        run_seed(seed)
    except SeedFailedError as failure:
        if isinstance(failure.reason, InvariantError):
            return str(failure.reason)
        raise StumbledError(str(failure)) from failure
    return ""

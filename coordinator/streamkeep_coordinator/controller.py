"""Commands in, committed answers out: the one place where metadata changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamkeep_common.image import ClusterImage
from streamkeep_common.seams import Clock
from streamkeep_coordinator.consensus import Consensus
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.metadata import Command

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Committed(Generic[R]):
    """A command's answer, and the metadata index at which it holds."""

    answer: R
    index: int


class Controller:
    """Executes commands in the order in which they come. `on_latency` gets the seconds each commit took."""

    def __init__(
        self, images: Images, consensus: Consensus, clock: Clock, *, on_latency: Callable[[float], None]
    ) -> None:
        self._images = images
        self._consensus = consensus
        self._clock = clock
        self._on_latency = on_latency

    @property
    def image(self) -> ClusterImage:
        """What is committed."""
        return self._images.committed

    @property
    def term(self) -> int:
        return self._consensus.term

    async def execute(self, command: Command[R]) -> Committed[R]:
        """Decide, commit, answer. Raises what the command raises; UnavailableError if it was not committed.

        The answer waits for all that it was decided on, also if the command itself changed nothing:
        "the topic exists" must not speak of a topic whose creation could still be lost. Cancelling takes
        nothing back.
        """
        started = self._clock.monotonic()
        decision = command(self._images.proposed)
        if decision.records:
            image = self._images.after(decision.records)
            entry = self._consensus.propose(decision.records)
            assert entry.index == image.index, f"entry {entry.index} was worked out as {image.index}"
            self._images.propose(image)
        index = self._images.proposed.index
        await self._consensus.wait_committed(index)
        if decision.records:
            self._on_latency(self._clock.monotonic() - started)
        return Committed(decision.answer, index)

"""Commands in, committed answers out: the one place where metadata changes.

Every coordinator has a controller; it executes commands while its coordinator is active, and says who is
active otherwise. Whatever the active coordinator proposes goes through here, changes of the quorum too, since
each entry is worked out on the image that the one before it leads to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamkeep_common.errors import NotActiveError, NotInitializedError, RemovedError, StreamkeepError
from streamkeep_common.image import ClusterImage
from streamkeep_common.seams import Clock
from streamkeep_coordinator.consensus import Consensus
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.metadata import Command

R = TypeVar("R")

CONFIRM_S = 2.0
"""How long a majority may take to confirm that this coordinator is still the active one."""


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

    def exclusion(self) -> StreamkeepError | None:
        """Why this coordinator can say nothing of the cluster: it has not joined it, or was removed."""
        if not self._consensus.is_initialized:
            return NotInitializedError("this coordinator belongs to no cluster yet")
        if self._consensus.removed:
            return RemovedError(self._consensus.removed)
        return None

    def refusal(self) -> StreamkeepError:
        """Why this coordinator does not decide, and who does, as far as is known."""
        if (error := self.exclusion()) is not None:
            return error
        address = self._consensus.active_address
        if not address:
            return NotActiveError("no coordinator is known to be active at the moment")
        return NotActiveError(
            f"the active coordinator is number {self._consensus.active_id} at {address}",
            active_address=address,
        )

    async def execute(self, command: Command[R]) -> Committed[R]:
        """Decide, commit, answer. Cancelling takes nothing back.

        Raises what the command raises; NotActiveError and NotInitializedError, nothing having happened;
        UnavailableError if it may happen later or not at all; NoQuorumError if nothing is to be changed and
        nobody confirms that.
        """
        if not self._consensus.is_active:
            raise self.refusal()
        started = self._clock.monotonic()
        term = self._consensus.term
        decision = command(self._images.proposed)
        if not decision.records:
            return await self._confirm(decision.answer, term)
        image = self._images.after(decision.records)
        entry = self._consensus.propose(decision.records)
        assert entry.index == image.index, f"entry {entry.index} was worked out as {image.index}"
        self._images.propose(image)
        await self._consensus.wait_committed(entry.index, term)
        self._on_latency(self._clock.monotonic() - started)
        return Committed(decision.answer, entry.index)

    async def confirm(self) -> None:
        """Return if a majority confirms that this coordinator is active. Raises `refusal`, NoQuorumError."""
        await self._confirm_term(self._consensus.term)

    async def _confirm(self, answer: R, term: int) -> Committed[R]:
        """The answer of a command that changes nothing, once all that it was decided on is committed.

        "The topic exists" must not speak of a topic whose creation could still be lost, and "there is no such
        topic" not of one that another coordinator, active meanwhile, has made: so a majority must confirm,
        after the decision, that this one leads in the same term (the argument of ReadIndex, thesis 6.4).
        """
        index = self._images.proposed.index
        await self._consensus.wait_committed(index, term)
        await self._confirm_term(term)
        return Committed(answer, index)

    async def _confirm_term(self, term: int) -> None:
        await self._consensus.read_barrier(CONFIRM_S)
        if not self._consensus.is_active or self._consensus.term != term:
            raise self.refusal()

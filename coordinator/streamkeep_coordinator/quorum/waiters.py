"""Who waits for an entry to be committed, by index and term: another leader's entry may come instead."""

from __future__ import annotations

import asyncio

from streamkeep_common.errors import UnavailableError

_MAY_BE_LOST = (
    "this coordinator ceased to be active before the change was committed; it may still take effect"
)


class CommitWaiters:
    """Futures that are done when their entry is applied, or cannot be any more as far as is known here."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[tuple[int, asyncio.Future[None]]]] = {}

    def wait(self, index: int, term: int) -> asyncio.Future[None]:
        """Done when the entry of this index and term is applied; UnavailableError if that may never be."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(index, []).append((term, future))
        return future

    def applied(self, index: int, term: int) -> None:
        """The entry at this index is applied: those who waited for just this one have what they wanted."""
        for wanted, future in self._waiting.pop(index, ()):
            if not future.done():
                future.set_result(None) if wanted == term else future.set_exception(ceased_to_be_active())

    def fail(self, message: str = _MAY_BE_LOST, *, after: int = 0) -> None:
        """Nobody can say here what becomes of the entries behind that index. Those up to it are committed."""
        for index in [index for index in self._waiting if index > after]:
            for _, future in self._waiting.pop(index):
                if not future.done():
                    future.set_exception(UnavailableError(message))


def ceased_to_be_active() -> UnavailableError:
    """The error of whoever waits for an entry whose fate is not known here."""
    return UnavailableError(_MAY_BE_LOST)

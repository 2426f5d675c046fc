"""Where coordinators are, and in which order to ask them. Pure.

The bootstrap list comes from a person and is never forgotten; the members come from the cluster. An address
that failed goes behind all that did not, until it answers again: so a dead one costs time once, not at every
question. No address is ever given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence


class CoordinatorAddresses:
    """`active` is the host:port of the coordinator that decides, as far as is known; "" = not known."""

    def __init__(self, bootstrap: Sequence[str]) -> None:
        assert bootstrap, "at least one coordinator's address"
        self.active = ""
        self._bootstrap = tuple(bootstrap)
        self._members: tuple[str, ...] = ()
        self._last_answered = ""
        self._failed: dict[str, None] = {}

    @property
    def known(self) -> tuple[str, ...]:
        """All of them, the cluster's own list first."""
        return tuple(dict.fromkeys((*self._members, *self._bootstrap)))

    def learn(self, members: Sequence[str]) -> None:
        """Take over the cluster's own list, in place of the one learned before."""
        self._members = tuple(member for member in members if member)

    def in_order(self, *, active_first: bool) -> list[str]:
        """Whom to ask first, second ...: the active one or whoever answered last, and at the end, the oldest
        failure first, those that have failed since they answered."""
        best = (self.active, self._last_answered) if active_first else (self._last_answered, self.active)
        every = dict.fromkeys(address for address in (*best, *self.known) if address)
        hopeful = [address for address in every if address not in self._failed]
        return hopeful + [address for address in self._failed if address in every]

    def has_failed(self, address: str) -> bool:
        """It has not answered since it failed."""
        return address in self._failed

    def answered(self, address: str) -> None:
        """It is alive, whatever it said."""
        self._failed.pop(address, None)

    def served(self, address: str, *, as_active: bool) -> None:
        """It gave the answer that was looked for; what only the active one can give, if `as_active`."""
        self.answered(address)
        self._last_answered = address
        if as_active:
            self.active = address

    def failed(self, address: str) -> None:
        """It did not answer, or is silent."""
        self._failed.pop(address, None)
        self._failed[address] = None
        for stranger in [one for one in self._failed if one not in (address, self.active, *self.known)]:
            del self._failed[stranger]

    def redirected(self, address: str, to: str) -> None:
        """`address` says that it is not active but `to` is; "" = it does not know."""
        self.answered(address)
        if to or self.active == address:
            self.active = to


class Round:
    """Everybody is asked once: in order, but at once whoever somebody names as the active one.

    That each is asked only once keeps two coordinators that name each other from being asked for ever.
    """

    def __init__(self, order: Sequence[str], *, being_asked: Collection[str]) -> None:
        self._asked = dict.fromkeys(being_asked)
        self._waiting = deque(address for address in order if address not in self._asked)

    def next(self) -> str | None:
        """The next to ask; None when all have been."""
        if not self._waiting:
            return None
        address = self._waiting.popleft()
        self._asked[address] = None
        return address

    def redirect(self, to: str) -> bool:
        """Whether `to` is to be asked now. It then counts as asked."""
        if not to or to in self._asked:
            return False
        if to in self._waiting:
            self._waiting.remove(to)
        self._asked[to] = None
        return True

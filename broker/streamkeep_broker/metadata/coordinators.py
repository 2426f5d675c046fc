"""Which coordinator to ask next. Pure: a list and a place in it."""

from __future__ import annotations

from collections.abc import Sequence

from streamkeep_common.retry import RetryPolicy

RECONNECT = RetryPolicy(first_wait_ms=50, max_wait_ms=500)
"""How to wait before the next one is tried. There is always a next try, so its budget does not count."""


class Coordinators:
    """The bootstrap addresses in turn, and a hint which one to try before them."""

    def __init__(self, addresses: Sequence[str]) -> None:
        assert addresses, "at least one coordinator's address"
        self.addresses = tuple(addresses)
        self._position = 0
        self._hinted: str | None = None

    @property
    def current(self) -> str:
        """host:port to use now."""
        return self._hinted or self.addresses[self._position]

    def hint(self, address: str) -> None:
        """Somebody says that `address` is the one to ask."""
        self._hinted = address

    def next(self) -> str:
        """The current one failed: the one after it, round and round. A hint that failed is forgotten."""
        if self._hinted is not None:
            self._hinted = None
        else:
            self._position = (self._position + 1) % len(self.addresses)
        return self.current

"""What a checker raises."""

from __future__ import annotations


class InvariantError(AssertionError):
    """A promise is broken. `invariant` names it, in the words of the module that watches it."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
        self.detail = detail


def require(holds: object, invariant: str, detail: str) -> None:
    """Raise InvariantError unless it holds. For what is asked rarely: `detail` is made in any case."""
    if not holds:
        raise InvariantError(invariant, detail)

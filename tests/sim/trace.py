"""What happened in a simulation: counted by kind, and condensed so that two runs can be compared."""

from __future__ import annotations

import hashlib
from collections import Counter, deque

ROUTINE = (
    "network.",
    "read confirmed",
    "refused.",
    "no answer",
    "stale answer",
    "create.",
    "delete.",
    "commit",
    "produce ",
    "duplicate answered",
)
"""Kinds of events of which there are so many that they hide the others."""


LINES_PER_HASH = 1_000


class Trace:
    """`digest` is equal for two runs if and only if the same events were noted in the same order."""

    def __init__(self, *, keep: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self.lines: list[str] | None = [] if keep else None
        self._hash = hashlib.blake2b(digest_size=16)
        self._unhashed: list[str] = []
        self._is_routine: dict[str, bool] = {}
        self._recent: deque[str] | None = None
        self._remembers_all = False

    def remember(self, recent: deque[str], *, all_kinds: bool) -> None:
        """Lines for people go there from now on; what is ROUTINE, and asides, only with `all_kinds`."""
        self._recent = recent
        self._remembers_all = all_kinds

    @property
    def remembers_all(self) -> bool:
        """Asides are worth the effort."""
        return self._remembers_all

    def aside(self, time_s: float, kind: str, detail: str) -> None:
        """A line for people that is no part of the digest."""
        if self._recent is not None and self._remembers_all:
            self._recent.append(f"{time_s:12.6f} {kind} {detail}")

    def note(self, time_s: float, kind: str, detail: str = "") -> None:
        line = f"{time_s:.9f} {kind} {detail}"
        self.counts[kind] += 1
        self._unhashed.append(line)
        if len(self._unhashed) == LINES_PER_HASH:
            self._hash_all()
        if self.lines is not None:
            self.lines.append(line)
        if self._recent is not None and (self._remembers_all or not self._hides_others(kind)):
            self._recent.append(f"{time_s:12.6f} {kind} {detail}")

    def digest(self) -> str:
        self._hash_all()
        return self._hash.hexdigest()

    def _hash_all(self) -> None:
        self._hash.update("".join(self._unhashed).encode())
        self._unhashed.clear()

    def _hides_others(self, kind: str) -> bool:
        known = self._is_routine.get(kind)
        if known is None:
            known = self._is_routine[kind] = kind.startswith(ROUTINE)
        return known

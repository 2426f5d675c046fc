"""What happened in a simulation: counted by kind, and condensed so that two runs can be compared."""

from __future__ import annotations

import hashlib
from collections import Counter


class Trace:
    """`digest` is equal for two runs if and only if the same events were noted in the same order."""

    def __init__(self, *, keep: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self.lines: list[str] | None = [] if keep else None
        self._hash = hashlib.blake2b(digest_size=16)

    def note(self, time_s: float, kind: str, detail: str = "") -> None:
        line = f"{time_s:.9f} {kind} {detail}"
        self.counts[kind] += 1
        self._hash.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    def digest(self) -> str:
        return self._hash.hexdigest()

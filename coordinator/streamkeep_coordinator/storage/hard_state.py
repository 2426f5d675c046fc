"""What a coordinator must not forget beside its log (thesis 3.8): its term, and whom it voted for."""

from __future__ import annotations

import struct
from typing import NamedTuple

_FIELDS = struct.Struct("<QqQ")
HARD_STATE_BYTES = _FIELDS.size


class HardState(NamedTuple):
    """`vote` 0 = none in this term. `committed_index` is a hint: it may be older than the truth."""

    term: int = 0
    vote: int = 0
    committed_index: int = 0

    def pack(self) -> bytes:
        """As it stands on disk: three 64 bit numbers, little-endian."""
        return _FIELDS.pack(*self)

    def keeps(self, promised: HardState) -> bool:
        """Whether nothing that `promised` says was forgotten."""
        if self.term != promised.term:
            return self.term > promised.term
        return promised.vote in (0, self.vote) and self.committed_index >= promised.committed_index


NOTHING_PROMISED = HardState()


def unpack_hard_state(data: bytes) -> HardState:
    """Of the first HARD_STATE_BYTES; struct.error if there are fewer."""
    return HardState(*_FIELDS.unpack_from(data))

"""Which partition a key goes to: the same as in Kafka's own client, so that a key lands where users expect.

The hash is MurmurHash2 (Austin Appleby, 32 bits) with Kafka's seed. A wheel computes it if it is installed
(`streamkeep[fast]`); the code here is what it does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_WORD = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF

REMEMBERED_KEYS = 100_000
REMEMBERED_KEY_BYTES = 64
"""A longer key is not remembered: hashing it again costs little beside sending it."""


def murmur2_fallback(data: bytes) -> int:
    """The hash as an unsigned number, in Python."""
    whole = len(data) & ~3
    digest = _SEED ^ len(data)
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        mixed = word * _MULTIPLIER & _WORD
        mixed = (mixed ^ mixed >> 24) * _MULTIPLIER & _WORD
        digest = (digest * _MULTIPLIER & _WORD) ^ mixed
    if len(data) > whole:
        digest = (digest ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _WORD
    digest = (digest ^ digest >> 13) * _MULTIPLIER & _WORD
    return digest ^ digest >> 15


def _choose() -> Callable[[bytes], int]:
    try:
        from murmurhash2 import murmurhash2
    except ImportError:
        return murmur2_fallback
    return partial(murmurhash2, seed=_SEED)


murmur2 = _choose()
"""The hash of a key as an unsigned number: murmur2(data: bytes) -> int."""


class KeyHashes(dict[bytes, int]):
    """`hashes[key] % partitions` is the key's partition, among all of its topic, available or not.

    What was computed is remembered within a bound: a hit costs a quarter of the hash. When the memory is full
    it is emptied, which is cheaper than to keep track of what was used last. Null keys have no partition.
    """

    def __missing__(self, key: bytes) -> int:
        positive = murmur2(key) & _POSITIVE
        if len(key) <= REMEMBERED_KEY_BYTES:
            if len(self) >= REMEMBERED_KEYS:
                self.clear()
            self[key] = positive
        return positive

"""A mapping that is never changed: an edit makes a new one that shares all but the touched shards.

Copying one dict of 200,000 topics for each committed entry would cost milliseconds; copying a few of 1,024
shards costs microseconds. A map of which there are many begins with fewer shards and gets more as it grows.
Keys are spread by CRC-32, not by hash(), so that the order of iteration is the same in every process.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

K = TypeVar("K", bound=bytes | str)
V = TypeVar("V")

SHARDS = 1_024
FULL_SHARD = 64
_GROWTH = 4
_EMPTY: dict[Any, Any] = {}


def _shard_of(key: bytes | str, shards: int) -> int:
    return zlib.crc32(key.encode() if isinstance(key, str) else key) % shards


class PersistentMap(Mapping[K, V]):
    """Immutable; iterates by shard, then by key, whatever the order of insertion was.

    With fewer than all shards the order hangs on how large the map once was.
    """

    __slots__ = ("_length", "_shards")

    def __init__(self, shards: int = SHARDS) -> None:
        self._shards: tuple[dict[K, V], ...] = (_EMPTY,) * shards
        self._length = 0

    def __getitem__(self, key: K) -> V:
        return self._shards[_shard_of(key, len(self._shards))][key]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        for shard in self._shards:
            yield from sorted(shard)

    def edit(self) -> MapEdit[K, V]:
        """Changes to be collected; this map stays as it is."""
        return MapEdit(self)

    def unshared(self, other: PersistentMap[K, V]) -> Iterator[tuple[K, V, V | None]]:
        """What may differ from `other`: each key, its value here and there (None = it is not there).

        Values that the two share are left out, without looking into shards that they share. Both have as
        many shards.
        """
        for mine, theirs in zip(self._shards, other._shards, strict=True):
            if mine is not theirs:
                for key in sorted(mine):
                    value, their_value = mine[key], theirs.get(key)
                    if value is not their_value:
                        yield key, value, their_value


class MapEdit(Mapping[K, V]):
    """A map under change, read as if the changes were made. A shard is copied once, at its first change."""

    __slots__ = ("_base", "_length", "_owned", "_shards")

    def __init__(self, base: PersistentMap[K, V]) -> None:
        self._base = base
        self._shards: tuple[dict[K, V], ...] | list[dict[K, V]] = base._shards
        self._length = len(base)
        self._owned: set[int] = set()

    def __getitem__(self, key: K) -> V:
        return self._shards[_shard_of(key, len(self._shards))][key]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        for shard in self._shards:
            yield from sorted(shard)

    def set(self, key: K, value: V) -> None:
        shard = self._own(key)
        self._length += key not in shard
        shard[key] = value
        if self._length > len(self._shards) * FULL_SHARD and len(self._shards) < SHARDS:
            self._grow()

    def remove(self, key: K) -> None:
        """KeyError if it is not there."""
        del self._own(key)[key]
        self._length -= 1

    def freeze(self) -> PersistentMap[K, V]:
        """The changed map; the edit must not be used again."""
        if not self._owned:
            return self._base
        frozen: PersistentMap[K, V] = PersistentMap(0)
        frozen._shards = tuple(self._shards)
        frozen._length = self._length
        return frozen

    def _own(self, key: K) -> dict[K, V]:
        if not isinstance(self._shards, list):
            self._shards = list(self._shards)
        at = _shard_of(key, len(self._shards))
        if at not in self._owned:
            self._owned.add(at)
            self._shards[at] = dict(self._shards[at])
        return self._shards[at]

    def _grow(self) -> None:
        size = min(len(self._shards) * _GROWTH, SHARDS)
        grown: list[dict[K, V]] = [{} for _ in range(size)]
        for shard in self._shards:
            for key, value in shard.items():
                grown[_shard_of(key, size)][key] = value
        self._shards = grown
        self._owned = set(range(size))

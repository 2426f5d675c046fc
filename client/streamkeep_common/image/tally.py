"""The counts that an image keeps along, under change: partitions by leader, replicas by broker and directory,
and in which topics each broker has replicas.

A topic is counted as a whole when its draft is done, not partition by partition as records come: counting by
`Counter` costs a fifth of that (measured).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Generic, TypeVar

from streamkeep_common.image.model import ClusterImage, PartitionImage
from streamkeep_common.image.persistent_map import MapEdit, PersistentMap

K = TypeVar("K", bound=Hashable)

HOSTED_SHARDS = 16
"""At first, of each broker's map: 1,000 brokers with 600 replicas each take 30 MiB."""


class Tally(Generic[K]):
    """Counts under change; those that reach zero are dropped."""

    __slots__ = ("_base", "_counts")

    def __init__(self, base: Mapping[K, int]) -> None:
        self._base = base
        self._counts: dict[K, int] | None = None

    def add(self, key: K, count: int) -> None:
        if self._counts is None:
            self._counts = dict(self._base)
        changed = self._counts.get(key, 0) + count
        assert changed >= 0, f"{key!r} counted below zero"
        if changed:
            self._counts[key] = changed
        else:
            self._counts.pop(key, None)

    def freeze(self) -> Mapping[K, int]:
        return self._base if self._counts is None else self._counts


class PartitionCounts:
    """All of an image's counts of partitions, under change."""

    def __init__(self, image: ClusterImage) -> None:
        self.leaders = Tally(image.leader_counts)
        self.replicas = Tally(image.replica_counts)
        self.directories = Tally(image.directory_counts)
        self._hosted = image.hosted
        self._hosted_edits: dict[int, MapEdit[bytes, int]] = {}

    def add(self, partitions: Sequence[PartitionImage]) -> None:
        """New partitions of one topic."""
        self._count(partitions, 1)

    def remove(self, partitions: Sequence[PartitionImage]) -> None:
        """Partitions of one topic that are gone."""
        self._count(partitions, -1)

    def change(self, leaders: Iterable[tuple[int, int]]) -> None:
        """The leaders before and after of partitions that changed."""
        for (before, after), count in Counter(leaders).items():
            if before != after:
                self.leaders.add(before, -count)
                self.leaders.add(after, count)

    def move(self, before: Sequence[PartitionImage], after: Sequence[PartitionImage]) -> None:
        """Partitions of one topic whose replicas or directories changed; leaders are counted by `change`."""
        self._count_replicas(before, -1)
        self._count_replicas(after, 1)

    def hosted(self) -> Mapping[int, PersistentMap[bytes, int]]:
        """The index by broker with all changes made; brokers without a replica are left out."""
        if not self._hosted_edits:
            return self._hosted
        frozen = {broker_id: edit.freeze() for broker_id, edit in self._hosted_edits.items()}
        return {broker_id: topics for broker_id, topics in {**self._hosted, **frozen}.items() if topics}

    def _count(self, partitions: Sequence[PartitionImage], sign: int) -> None:
        for leader, count in Counter(each.leader for each in partitions).items():
            self.leaders.add(leader, sign * count)
        self._count_replicas(partitions, sign)

    def _count_replicas(self, partitions: Sequence[PartitionImage], sign: int) -> None:
        if not partitions:
            return
        topic_id = partitions[0].topic_id
        for directory_id, count in Counter(
            chain.from_iterable(each.directory_ids for each in partitions)
        ).items():
            self.directories.add(directory_id, sign * count)
        for broker_id, count in Counter(chain.from_iterable(each.replicas for each in partitions)).items():
            self.replicas.add(broker_id, sign * count)
            self._host(broker_id, topic_id, sign * count)

    def _host(self, broker_id: int, topic_id: bytes, count: int) -> None:
        edit = self._hosted_edits.get(broker_id)
        if edit is None:
            base = self._hosted.get(broker_id)
            edit = (PersistentMap(HOSTED_SHARDS) if base is None else base).edit()
            self._hosted_edits[broker_id] = edit
        count += edit.get(topic_id, 0)
        assert count >= 0, f"broker {broker_id} has {count} replicas of {topic_id.hex()}"
        if count:
            edit.set(topic_id, count)
        else:
            edit.remove(topic_id)

"""Where new replicas go, and those that move: spread over brokers, racks and log directories, leaders too.

Greedy, one replica at a time: the topic's own spread counts first, the cluster's balance second, the lowest
id last, so that equal clusters place equally.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from itertools import groupby
from typing import NamedTuple

from streamkeep_common.errors import InvalidReplicationFactorError
from streamkeep_common.image import REPLICATION_FEATURE_LEVEL, BrokerImage, ClusterImage, PartitionImage
from streamkeep_common.limits import MAX_REPLICATION_FACTOR


class Placed(NamedTuple):
    """Replicas of a partition, in their order, and the directory of each."""

    replicas: tuple[int, ...]
    directory_ids: tuple[bytes, ...]


def candidates(image: ClusterImage) -> list[BrokerImage]:
    """Brokers that can take a replica now: live, not being emptied, with a directory that has room."""
    return [
        broker
        for broker in image.brokers.values()
        if not broker.fenced and not broker.draining and roomy_directories(broker)
    ]


def roomy_directories(broker: BrokerImage) -> list[bytes]:
    """Directories that can take a replica now, in the order of registration: neither full nor stalled."""
    return [each for each in broker.directory_ids if not broker.is_full(each) and not broker.is_stalled(each)]


def max_replication_factor(image: ClusterImage) -> int:
    """The most replicas that a partition can have: one, below the level at which there is replication."""
    return MAX_REPLICATION_FACTOR if image.feature_level >= REPLICATION_FEATURE_LEVEL else 1


def too_few(wanted: int, able: int) -> str:
    """What to tell who asks for more replicas than there is place for."""
    return (
        f"a replication factor of {wanted} needs as many brokers that are live and can take a replica, "
        f"and there are {able}"
    )


class Placement:
    """Places replicas one after another: of one topic, of which `existing` are the partitions that there are,
    or of any topics, where only the balance of the cluster counts.
    """

    def __init__(self, image: ClusterImage, existing: Iterable[PartitionImage] = ()) -> None:
        self._brokers = candidates(image)
        self._able = {broker.broker_id: broker for broker in self._brokers}
        self._leaders = Counter(image.leader_counts)
        self._replicas = Counter(image.replica_counts)
        self._directories = Counter(image.directory_counts)
        self._topic_leaders: Counter[int] = Counter()
        self._topic_replicas: Counter[int] = Counter()
        self._heirs: Counter[tuple[int, ...]] = Counter()
        """Of leader and first follower: who takes over when the leader dies."""
        for partition in existing:
            self._topic_leaders[partition.replicas[0]] += 1
            self._heirs[partition.replicas[:2]] += 1
            self._topic_replicas.update(partition.target_replicas)
        self._as_leaders = _Queue(self._brokers, self._leader_load)
        self._as_followers = {
            rack: _Queue(brokers, self._follower_load)
            for rack, brokers in groupby(sorted(self._brokers, key=_rack), key=_rack)
        }

    def place(self, replication_factor: int) -> Placed:
        """The next partition. InvalidReplicationFactorError if there are fewer brokers than that."""
        if not 1 <= replication_factor <= len(self._brokers):
            raise InvalidReplicationFactorError(too_few(replication_factor, len(self._brokers)))
        chosen = [self._leader()]
        while len(chosen) < replication_factor:
            follower = self._follower(chosen)
            assert follower is not None, "there are enough brokers"
            chosen.append(follower)
        self._count_leader(chosen[0])
        return self._placed(self._spread_heirs(chosen))

    def extend(self, kept: Iterable[BrokerImage], count: int, *, without: int = 0) -> Placed | None:
        """So many more replicas for a partition beside those that it keeps, none of them on broker `without`.

        Only the new ones; None if there is no place for them.
        """
        chosen = list(kept)
        first = len(chosen)
        for _ in range(count):
            follower = self._follower(chosen, without)
            if follower is None:
                return None
            chosen.append(follower)
        return self._placed(chosen[first:])

    def lead(self, replicas: Sequence[int]) -> int:
        """Which of the replicas is to be the preferred leader: who leads least of those that can."""
        able = [self._able[each] for each in replicas if each in self._able]
        if not able:
            return replicas[0]
        leader = min(able, key=self._leader_load)
        self._count_leader(leader)
        return leader.broker_id

    def directory(self, broker: BrokerImage) -> bytes:
        """Where the broker's next replica goes: the one with the fewest, in the order of registration.

        One that is full or stalled only if the broker has no other.
        """
        directories = roomy_directories(broker) or broker.directory_ids
        directory_id = min(directories, key=lambda each: self._directories[each])
        self._directories[directory_id] += 1
        return directory_id

    def _placed(self, chosen: list[BrokerImage]) -> Placed:
        for broker in chosen:
            self._replicas[broker.broker_id] += 1
            self._topic_replicas[broker.broker_id] += 1
        return Placed(
            tuple(broker.broker_id for broker in chosen), tuple(self.directory(broker) for broker in chosen)
        )

    def _spread_heirs(self, chosen: list[BrokerImage]) -> list[BrokerImage]:
        """The followers in such an order that what one broker leads goes to many when it dies."""
        leader, *followers = chosen
        followers.sort(key=lambda each: self._heirs[leader.broker_id, each.broker_id])
        self._heirs[tuple(broker.broker_id for broker in (leader, *followers[:1]))] += 1
        return [leader, *followers]

    def _count_leader(self, broker: BrokerImage) -> None:
        self._leaders[broker.broker_id] += 1
        self._topic_leaders[broker.broker_id] += 1

    def _leader(self) -> BrokerImage:
        found = self._as_leaders.least(())
        assert found is not None, "there are enough brokers"
        return found.broker

    def _follower(self, chosen: list[BrokerImage], without: int = 0) -> BrokerImage | None:
        """In a rack that has none of the chosen, if there is one; without a rack a broker has its own."""
        taken = {without, *(broker.broker_id for broker in chosen)}
        racks = {broker.rack for broker in chosen if broker.rack}
        known = self._as_followers.keys()
        found = self._least_of(known - racks, taken) or self._least_of(known & racks, taken)
        return None if found is None else found.broker

    def _least_of(self, racks: Collection[str], taken: Collection[int]) -> _Loaded | None:
        """The order of the racks does not matter: no two loads are equal."""
        found = (self._as_followers[rack].least(taken) for rack in racks)
        return min((each for each in found if each is not None), default=None)

    def _leader_load(self, broker: BrokerImage) -> tuple[int, ...]:
        key = broker.broker_id
        return (
            self._topic_leaders[key],
            self._topic_replicas[key],
            self._leaders[key],
            self._replicas[key],
            key,
        )

    def _follower_load(self, broker: BrokerImage) -> tuple[int, ...]:
        key = broker.broker_id
        return self._topic_replicas[key], self._replicas[key], key


class _Loaded(NamedTuple):
    """A broker and its load, which ends with its id: no two are equal."""

    load: tuple[int, ...]
    broker: BrokerImage


class _Queue:
    """Brokers by load. A load never falls; one that has risen is put right when it comes to the top."""

    def __init__(
        self, brokers: Iterable[BrokerImage], load: Callable[[BrokerImage], tuple[int, ...]]
    ) -> None:
        self._load = load
        self._heap = [_Loaded(load(broker), broker) for broker in brokers]
        heapify(self._heap)

    def least(self, taken: Collection[int]) -> _Loaded | None:
        """The broker with the least load that is not one of those; None if there is no other."""
        passed = []
        while (top := self._top()) is not None and top.broker.broker_id in taken:
            passed.append(heappop(self._heap))
        for each in passed:
            heappush(self._heap, each)
        return top

    def _top(self) -> _Loaded | None:
        while self._heap:
            top = self._heap[0]
            load = self._load(top.broker)
            if load == top.load:
                return top
            heapreplace(self._heap, _Loaded(load, top.broker))
        return None


def _rack(broker: BrokerImage) -> str:
    return broker.rack

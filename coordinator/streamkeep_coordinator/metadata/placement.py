"""Where new replicas go: spread over brokers, racks and log directories, leaders spread too.

Greedy, one replica at a time: the topic's own spread counts first, the cluster's balance second, the lowest
id last, so that equal clusters place equally.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from streamkeep_common.errors import InvalidReplicationFactorError
from streamkeep_common.image import BrokerImage, ClusterImage, PartitionImage


class Placed(NamedTuple):
    """The replicas of one new partition, leader first, and the directory of each."""

    replicas: tuple[int, ...]
    directory_ids: tuple[bytes, ...]


def candidates(image: ClusterImage) -> list[BrokerImage]:
    """Brokers that can take a replica now: live, with a usable directory."""
    return [
        broker for broker in image.brokers.values() if not broker.fenced and broker.registration.directory_ids
    ]


class Placement:
    """Places the partitions of one topic. `existing` are those that it already has."""

    def __init__(self, image: ClusterImage, existing: Iterable[PartitionImage] = ()) -> None:
        self._brokers = candidates(image)
        self._leaders = Counter(image.leader_counts)
        self._replicas = Counter(image.replica_counts)
        self._directories = Counter(image.directory_counts)
        self._topic_leaders: Counter[int] = Counter()
        self._topic_replicas: Counter[int] = Counter()
        for partition in existing:
            self._topic_leaders[partition.replicas[0]] += 1
            self._topic_replicas.update(partition.replicas)

    def place(self, replication_factor: int) -> Placed:
        """The next partition. InvalidReplicationFactorError if there are fewer brokers than that."""
        if not 1 <= replication_factor <= len(self._brokers):
            raise InvalidReplicationFactorError(
                f"{replication_factor} replicas need as many live brokers, and there are {len(self._brokers)}"
            )
        chosen = [self._leader()]
        while len(chosen) < replication_factor:
            chosen.append(self._follower(chosen))
        directories = tuple(self._directory(broker) for broker in chosen)
        self._leaders[chosen[0].broker_id] += 1
        self._topic_leaders[chosen[0].broker_id] += 1
        for broker in chosen:
            self._replicas[broker.broker_id] += 1
            self._topic_replicas[broker.broker_id] += 1
        return Placed(tuple(broker.broker_id for broker in chosen), directories)

    def _leader(self) -> BrokerImage:
        def load(broker: BrokerImage) -> tuple[int, ...]:
            key = broker.broker_id
            return (
                self._topic_leaders[key],
                self._topic_replicas[key],
                self._leaders[key],
                self._replicas[key],
                key,
            )

        return min(self._brokers, key=load)

    def _follower(self, chosen: list[BrokerImage]) -> BrokerImage:
        taken = {broker.broker_id for broker in chosen}
        racks = {broker.rack for broker in chosen if broker.rack}

        def load(broker: BrokerImage) -> tuple[int, ...]:
            key = broker.broker_id
            return broker.rack in racks, self._topic_replicas[key], self._replicas[key], key

        return min((broker for broker in self._brokers if broker.broker_id not in taken), key=load)

    def _directory(self, broker: BrokerImage) -> bytes:
        """The one with the fewest replicas, in the order of registration."""
        directory_id = min(broker.registration.directory_ids, key=lambda each: self._directories[each])
        self._directories[directory_id] += 1
        return directory_id

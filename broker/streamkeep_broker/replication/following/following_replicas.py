"""All replicas of this broker that follow, and one link to each broker that leads any of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.replication.following.link import Hello, LeaderLink
from streamkeep_broker.replication.following.replica import FollowingReplica, Observer
from streamkeep_broker.replication.following.state import Lane
from streamkeep_broker.replication.partition import Partition
from streamkeep_common.seams import Clock, Network
from streamkeep_proto.v1.errors_pb2 import LeaderHint


class FollowingReplicas:
    """See the module.

    `hello` gives what this broker says of itself to the leader with that id, None while it is not registered;
    whether it is for catching up is filled in. `on_damaged` is called once for a replica whose log is
    corrupt: when that has been put right, `follow` it again. `on_failure` hears of what should not be
    possible.
    """

    def __init__(
        self,
        *,
        logs: LogManager,
        network: Network,
        clock: Clock,
        rng: random.Random,
        hello: Hello,
        observer: Observer,
        on_damaged: Callable[[Partition], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._logs = logs
        self._network = network
        self._clock = clock
        self._rng = rng
        self._hello = hello
        self._observer = observer
        self._on_damaged = on_damaged
        self._on_failure = on_failure
        self._replicas: dict[Partition, FollowingReplica] = {}
        self._links: dict[int, LeaderLink] = {}

    def __len__(self) -> int:
        """How many replicas follow a leader, or try to."""
        return len(self._replicas)

    def max_lag(self, lane: Lane) -> int:
        """The greatest number of acknowledged records that a replica on these streams is known to lack."""
        return max((each.lag for each in self._replicas.values() if each.lane is lane), default=0)

    def follow(self, partition: Partition, leader_id: int, address: str) -> None:
        """Follow the leader of the partition's current epoch at host:port; nothing happens if that is so
        already. An older subscription ends, and its leader is told of the newer one.
        """
        link = self._link(leader_id, address)
        replica = self._replicas.get(partition)
        if replica is None:
            replica = self._replicas[partition] = self._new_replica(partition)
        hint = LeaderHint(broker_id=leader_id, address=address, leader_epoch=partition.leader_epoch)
        replica.follow(link, hint)

    def leave(self, partition: Partition, newer: LeaderHint | None) -> None:
        """The partition follows nobody from now on. `newer` is who leads in a later epoch, if known."""
        replica = self._replicas.get(partition)
        if replica is not None:
            replica.leave(newer)

    async def stop(self) -> None:
        """End all streams; what is being cut is cut to its end."""
        await asyncio.gather(*(link.stop() for link in self._links.values()))
        for partition, replica in list(self._replicas.items()):
            self.leave(partition, None)
            await replica.settled()

    def _link(self, leader_id: int, address: str) -> LeaderLink:
        link = self._links.get(leader_id)
        if link is None:
            link = self._links[leader_id] = LeaderLink(
                leader_id,
                address,
                network=self._network,
                clock=self._clock,
                rng=self._rng,
                hello=self._hello,
                on_failure=self._on_failure,
            )
        link.move(address)
        return link

    def _new_replica(self, partition: Partition) -> FollowingReplica:
        return FollowingReplica(
            partition,
            logs=self._logs,
            rng=self._rng,
            on_damaged=self._on_damaged,
            observer=self._observer,
            on_idle=self._forget,
            on_failure=self._on_failure,
        )

    def _forget(self, partition: Partition) -> None:
        self._replicas.pop(partition, None)

"""Links to all other members, as the newest quorum in the log lists them, and who has been heard of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Protocol

from streamkeep_common.seams import Clock, Network
from streamkeep_coordinator.quorum.link import Link
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftHello, RaftMessage, RaftRefusal

PeerKey = tuple[int, bytes, str]


class Peers(Protocol):
    """What is told of the links."""

    def unreachable(self, coordinator_id: int) -> None:
        """The stream to it broke; what was sent on it may be lost."""
        ...

    def refused(self, member: QuorumMember, refusal: RaftRefusal) -> None:
        """It does not take our messages, and says why."""
        ...


class Transport:
    """`quorum_index` gives the index of the newest committed quorum, for hellos."""

    def __init__(
        self,
        network: Network,
        clock: Clock,
        rng: Random,
        local: LocalCoordinator,
        *,
        silence_s: float,
        quorum_index: Callable[[], int],
    ) -> None:
        self._network = network
        self._clock = clock
        self._rng = rng
        self._local = local
        self._silence_s = silence_s
        self._quorum_index = quorum_index
        self._links: dict[PeerKey, Link] = {}
        self._keys: dict[int, PeerKey] = {}
        self._started_at = clock.monotonic()
        self._heard_at: dict[tuple[int, bytes], float] = {}
        self._closing: dict[asyncio.Task[None], None] = {}
        self.peers: Peers | None = None

    def follow(self, quorum: QuorumRecord | None) -> None:
        """Keep links to just these members, but for this coordinator itself."""
        members = [] if quorum is None or not self._local.is_formatted else list(quorum.members)
        others = {_key(each): each for each in members if each.coordinator_id != self._local.id}
        for key in [key for key in self._links if key not in others]:
            self._close_soon(self._links.pop(key).close())
        for key, member in others.items():
            if key not in self._links:
                self._links[key] = self._link(member)
        self._keys = {key[0]: key for key in others}

    def send(self, message: RaftMessage) -> None:
        """To its receiver, if that is a member: it need not arrive."""
        key = self._keys.get(message.receiver)
        if key is not None and key[1] == message.receiver_directory_id:
            self._links[key].send(message)

    def heard(self, coordinator_id: int, directory_id: bytes) -> None:
        """A coordinator has said something."""
        self._heard_at[coordinator_id, directory_id] = self._clock.monotonic()
        key = self._keys.get(coordinator_id)
        if key is not None and key[1] == directory_id:
            self._links[key].heard()

    def silent_s(self, coordinator_id: int, directory_id: bytes) -> float:
        """Seconds since it was heard of, or since this process started if it was not."""
        heard_at = self._heard_at.get((coordinator_id, directory_id), self._started_at)
        return self._clock.monotonic() - heard_at

    def tick(self) -> None:
        for link in self._links.values():
            link.tick()

    async def close(self) -> None:
        self._keys = {}
        links, self._links = self._links, {}
        await asyncio.gather(*(link.close() for link in links.values()), *self._closing)

    def hello_to(self, member: QuorumMember) -> RaftHello:
        """What a stream to that member begins with."""
        return self._local.hello(member, self._quorum_index())

    def _link(self, member: QuorumMember) -> Link:
        def on_broken() -> None:
            if self.peers is not None:
                self.peers.unreachable(member.coordinator_id)

        def on_refused(refusal: RaftRefusal) -> None:
            if self.peers is not None:
                self.peers.refused(member, refusal)

        return Link(
            self._network,
            self._clock,
            self._rng,
            member.address,
            hello=lambda: self.hello_to(member),
            silence_s=self._silence_s,
            on_refused=on_refused,
            on_broken=on_broken,
        )

    def _close_soon(self, closing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(closing)
        self._closing[task] = None
        task.add_done_callback(self._closing.pop)


def _key(member: QuorumMember) -> PeerKey:
    return member.coordinator_id, member.directory_id, member.address

"""Links to all other members, as the newest quorum in the log lists them, and who has been heard of."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Protocol

from streamkeep_common.seams import Clock, Network
from streamkeep_coordinator.quorum.link import Link
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftHello, RaftMessage, RaftRefusal

Peer = tuple[int, bytes]
"""Coordinator id and directory: who is meant by a message."""

GUEST_TIMEOUT_S = 10.0
"""How long somebody who is no member is kept in touch with after the last word."""

MAX_GUESTS = 16
"""More than join or leave at a time; each costs a connection."""


class Peers(Protocol):
    """What is told of the links, and what hellos say."""

    def committed_quorum(self) -> tuple[QuorumRecord | None, int]:
        """The newest that is known to be committed, and its entry's index."""
        ...

    def unreachable(self, coordinator_id: int) -> None:
        """The stream to it broke; what was sent on it may be lost."""
        ...

    def refused(self, member: QuorumMember, refusal: RaftRefusal) -> None:
        """It does not take our messages, and says why."""
        ...


class Transport:
    """Knows members, by the quorum in effect, and guests: others who speak to this coordinator."""

    def __init__(
        self,
        network: Network,
        clock: Clock,
        rng: Random,
        local: LocalCoordinator,
        *,
        silence_s: float,
        peers: Peers,
    ) -> None:
        self._network = network
        self._clock = clock
        self._rng = rng
        self._local = local
        self._silence_s = silence_s
        self._peers = peers
        self._links: dict[Peer, Link] = {}
        self._members: dict[Peer, QuorumMember] = {}
        self._guests: dict[Peer, QuorumMember] = {}
        self._started_at = clock.monotonic()
        self._heard_at: dict[tuple[int, bytes], float] = {}
        self._closing: dict[asyncio.Task[None], None] = {}

    def follow(self, quorum: QuorumRecord | None) -> None:
        """These are the members now.

        Who is none any more stays as a guest: a leader that removes itself needs the others' answers until
        its removal is committed (thesis 4.2.2).
        """
        members = () if quorum is None else quorum.members
        ids = [each.coordinator_id for each in members]
        gone = {peer: each for peer, each in self._members.items() if peer[0] not in ids}
        self._members = {_peer(each): each for each in members if each.coordinator_id != self._local.id}
        guests = {**self._guests, **gone}
        self._guests = {peer: each for peer, each in guests.items() if peer not in self._members}
        self._link()

    def welcome(self, hello: RaftHello) -> None:
        """Somebody who was let in: to be answered, a member or not, where it says that it is.

        A coordinator that joins, or lags behind, does not know of those who know of it; and while there is no
        quorum, nothing can be written about one that has moved.
        """
        guest = QuorumMember(
            coordinator_id=hello.coordinator_id, directory_id=hello.directory_id, address=hello.address
        )
        peer = _peer(guest)
        is_new = peer not in self._members and peer not in self._guests
        if is_new and len(self._guests) >= MAX_GUESTS:
            return
        self._heard_at[peer] = self._clock.monotonic()
        if guest.address:
            (self._members if peer in self._members else self._guests)[peer] = guest
            self._link()

    def send(self, message: RaftMessage) -> None:
        """To its receiver, if that is known: it need not arrive."""
        link = self._links.get((message.receiver, message.receiver_directory_id))
        if link is not None:
            link.send(message)

    def heard(self, coordinator_id: int, directory_id: bytes) -> None:
        """A coordinator has said something."""
        self._heard_at[coordinator_id, directory_id] = self._clock.monotonic()
        link = self._links.get((coordinator_id, directory_id))
        if link is not None:
            link.heard()

    def silent_s(self, coordinator_id: int, directory_id: bytes) -> float:
        """Seconds since it was heard of, or since this process started if it was not."""
        heard_at = self._heard_at.get((coordinator_id, directory_id), self._started_at)
        return self._clock.monotonic() - heard_at

    def tick(self) -> None:
        """Give up connections that are silent, and guests that have been silent for long."""
        gone = [peer for peer in self._guests if self.silent_s(*peer) >= GUEST_TIMEOUT_S]
        for peer in gone:
            del self._guests[peer]
        if gone:
            self._link()
        for link in self._links.values():
            link.tick()

    async def close(self) -> None:
        links, self._links = self._links, {}
        await asyncio.gather(*(link.close() for link in links.values()), *self._closing)

    def hello_to(self, member: QuorumMember) -> RaftHello:
        """What a stream to that member begins with."""
        return self._local.hello(member, self._peers.committed_quorum()[1])

    def _link(self) -> None:
        """A link to everybody who is to have one, and to nobody else."""
        wanted = {**self._guests, **self._members}
        for peer in [peer for peer in self._links if peer not in wanted]:
            self._close_soon(self._links.pop(peer).close())
        for peer, member in wanted.items():
            link = self._links.get(peer)
            if link is not None and link.address != member.address:
                self._close_soon(link.close())
                link = None
            if link is None:
                self._links[peer] = self._open(member)

    def _open(self, member: QuorumMember) -> Link:
        return Link(
            self._network,
            self._clock,
            self._rng,
            member.address,
            hello=lambda: self.hello_to(member),
            silence_s=self._silence_s,
            on_refused=lambda refusal: self._refused(member, refusal),
            on_broken=lambda: self._broken(member),
        )

    def _refused(self, member: QuorumMember, refusal: RaftRefusal) -> None:
        if _peer(member) in self._members:
            self._peers.refused(member, refusal)
        elif self._guests.pop(_peer(member), None) is not None:
            self._link()

    def _broken(self, member: QuorumMember) -> None:
        if _peer(member) in self._members:
            self._peers.unreachable(member.coordinator_id)

    def _close_soon(self, closing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(closing)
        self._closing[task] = None
        task.add_done_callback(self._closing.pop)


def _peer(member: QuorumMember) -> Peer:
    return member.coordinator_id, member.directory_id

"""Agreement as the services see it, without Raft: a log that a test commits, loses and cuts off as it likes.

It keeps to the promises of `Consensus`: one coordinator a term decides, though another that is cut off may
still believe itself active; what is committed stays, in one order, everywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streamkeep_common.errors import (
    InvalidQuorumChangeError,
    NoQuorumError,
    NotActiveError,
    UnavailableError,
)
from streamkeep_coordinator.consensus import StateMachine
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord, NoOpRecord
from tests.sim.processes import SimProcess


class FakeMember:
    """The Consensus of one coordinator."""

    def __init__(self, quorum: FakeQuorum, coordinator_id: int, address: str, process: SimProcess) -> None:
        self.quorum = quorum
        self.process = process
        self.id = coordinator_id
        self.address = address
        self.machine: StateMachine | None = None
        self.is_initialized = True
        self.removed = ""
        self.cluster_epoch = 1
        self.is_active = False
        self.is_cut = False
        self.applied = 0
        self.term = 0
        self.active_id = 0
        self.transfers: list[int] = []
        self._proposed: list[MetadataEntry] = []
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def active_address(self) -> str:
        return self.quorum.members[self.active_id].address if self.active_id else ""

    @property
    def committed_index(self) -> int:
        return self.applied

    def propose(self, records: Sequence[MetadataRecord]) -> MetadataEntry:
        if not self.is_active:
            raise NotActiveError("not active", active_address=self.active_address)
        index = self.applied + len(self._proposed) + 1
        entry = MetadataEntry(index=index, term=self.term, records=records)
        self._proposed.append(entry)
        asyncio.get_running_loop().call_soon(self.quorum.commit)
        return entry

    async def wait_committed(self, index: int, term: int) -> None:
        if index <= self.applied:
            return
        if not self.is_active or self.term != term:
            raise UnavailableError("it may still take effect")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((index, term, waiter))
        await waiter

    async def read_barrier(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self.quorum.confirm(self)
        except TimeoutError:
            raise NoQuorumError("nobody confirms it") from None

    def transfer(self, to: int = 0) -> None:
        others = [each for each in self.quorum.members if each != self.id]
        if not others:
            raise InvalidQuorumChangeError("there is nobody to hand it to")
        self.transfers.append(to or others[0])
        if self.is_cut:
            return
        asyncio.get_running_loop().call_soon(self.quorum.elect, to or others[0])

    def take_proposed(self) -> list[MetadataEntry]:
        taken, self._proposed = self._proposed, []
        return taken

    def apply(self, entry: MetadataEntry) -> None:
        assert self.machine is not None
        self.applied = entry.index
        self.process.call(self.machine.commit, entry, entry.ByteSize())
        for index, term, waiter in self._waiters:
            if index == entry.index and not waiter.done():
                assert term == entry.term
                waiter.set_result(None)

    def begin(self, term: int) -> None:
        assert self.machine is not None
        self.is_active = True
        self.process.call(self.machine.activate, term)

    def cease(self) -> None:
        """It learns that it is not active any more."""
        if self.is_active:
            assert self.machine is not None
            self.is_active = False
            self._proposed.clear()
            for _, _, waiter in self._waiters:
                if not waiter.done():
                    waiter.set_exception(UnavailableError("it may still take effect"))
            self._waiters.clear()
            self.process.call(self.machine.deactivate)


class FakeQuorum:
    """The log, and who may add to it. `holds` keeps proposals from being committed until it is unset."""

    def __init__(self) -> None:
        self.members: dict[int, FakeMember] = {}
        self.log: list[MetadataEntry] = []
        self.term = 0
        self.active_id = 0
        self.holds = False

    def join(self, coordinator_id: int, address: str, process: SimProcess) -> FakeMember:
        member = self.members[coordinator_id] = FakeMember(self, coordinator_id, address, process)
        return member

    def commit(self) -> None:
        """What the active coordinator has proposed, unless it is held or the proposer is cut off."""
        active = self.members.get(self.active_id)
        if active is not None and not self.holds and not active.is_cut:
            self.log += active.take_proposed()
            self.spread()

    def elect(self, coordinator_id: int, *records: MetadataRecord) -> None:
        """Another coordinator becomes active, with these records behind its no-op."""
        self.term += 1
        self.active_id = coordinator_id
        no_op = MetadataRecord(no_op=NoOpRecord())
        self.log.append(MetadataEntry(index=len(self.log) + 1, term=self.term, records=[no_op, *records]))
        self.spread()

    def lose(self) -> None:
        """Nobody is active any more, and everybody who can be reached knows it."""
        self.active_id = 0
        self.spread()

    def cut(self, coordinator_id: int) -> None:
        """It hears nothing from the others any more, and keeps its beliefs."""
        self.members[coordinator_id].is_cut = True

    def heal(self, coordinator_id: int) -> None:
        self.members[coordinator_id].is_cut = False
        self.spread()

    def spread(self) -> None:
        """Everybody who can be reached learns the term, who is active, and what is committed."""
        reached = [member for member in self.members.values() if not member.is_cut]
        for member in reached:
            is_deposed = member.term != self.term or self.active_id != member.id
            member.term, member.active_id = self.term, self.active_id
            if is_deposed:
                member.cease()
            for entry in self.log[member.applied :]:
                member.apply(entry)
        for member in reached:
            if member.id == self.active_id and not member.is_active:
                member.begin(self.term)

    async def confirm(self, member: FakeMember) -> None:
        """ReadIndex: returns once a majority that `member` reaches has an active coordinator."""
        await asyncio.sleep(0.001)
        while member.is_cut or not self.active_id or self.members[self.active_id].is_cut:
            await asyncio.sleep(0.01)

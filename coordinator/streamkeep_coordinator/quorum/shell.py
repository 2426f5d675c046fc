"""What the shell of one coordinator is made of, and how its parts reach each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import NamedTuple

from streamkeep_common.errors import StreamkeepError
from streamkeep_common.image import ClusterImage
from streamkeep_common.seams import Clock, Disk, Network, Service, Worker
from streamkeep_coordinator.consensus import StateMachine
from streamkeep_coordinator.quorum.bootstrap import Bootstrap
from streamkeep_coordinator.quorum.describe import describe_self
from streamkeep_coordinator.quorum.driver import Driver
from streamkeep_coordinator.quorum.formatter import FIRST_STATE, Formatter
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.quorum.neighbours import Neighbours
from streamkeep_coordinator.quorum.own_membership import OwnMembership, listed
from streamkeep_coordinator.quorum.receiver import RaftReceiver
from streamkeep_coordinator.quorum.snapshot_receiver import Arrived, SnapshotReceiver
from streamkeep_coordinator.quorum.snapshot_sender import SnapshotSender
from streamkeep_coordinator.quorum.steward import Execute, Steward
from streamkeep_coordinator.quorum.transport import Transport
from streamkeep_coordinator.raft import HardState, RaftConfig, RaftLog, RaftNode, Write
from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.storage import Storage
from streamkeep_proto.v1.metadata_pb2 import (
    MetadataEntry,
    MetadataRecord,
    NoOpRecord,
    QuorumMember,
    QuorumRecord,
)
from streamkeep_proto.v1.raft_pb2 import RaftEntry, RaftHello, RaftMessage, RaftRefusal

TICKS_PER_HEARTBEAT = 2
SILENCE_TIMEOUTS = 2
"""Election timeouts after which whoever is silent does not count as heard any more."""
SETTLE_LOOK_S = 0.002

InitialMembers = tuple[tuple[int, str], ...]

_logger = logging.getLogger(__name__)


class QuorumTimes(NamedTuple):
    """As in the settings table."""

    heartbeat_ms: int
    election_timeout_ms: int

    @property
    def tick_s(self) -> float:
        return self.heartbeat_ms / TICKS_PER_HEARTBEAT / 1000

    @property
    def silence_s(self) -> float:
        return SILENCE_TIMEOUTS * self.election_timeout_ms / 1000

    @property
    def election_ticks(self) -> int:
        return self.election_timeout_ms * TICKS_PER_HEARTBEAT // self.heartbeat_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the shell works with. `image` gives what is applied and its last entry's term; `on_failure` gets
    the error after which this process cannot go on.
    """

    directory: DataDirectory
    storage: Storage
    disk: Disk
    network: Network
    clock: Clock
    rng: Random
    log_worker: Worker
    snapshot_worker: Worker
    image: Callable[[], tuple[ClusterImage, int]]
    on_failure: Callable[[Exception], None]


class QuorumShell:
    """`log` and `hard_state` are what the disk has."""

    def __init__(
        self,
        local: LocalCoordinator,
        log: RaftLog,
        hard_state: HardState,
        times: QuorumTimes,
        around: Surroundings,
    ) -> None:
        self.local = local
        self._times = times
        self._around = around
        self._machine: StateMachine | None = None
        self.driver = self._make_driver(log, hard_state)
        self._neighbours = Neighbours(local)
        self._transport = Transport(
            around.network, around.clock, around.rng, local, silence_s=times.silence_s, peers=self
        )
        self._own_membership = OwnMembership(self.driver, local, self._transport.silent_s, times.silence_s)
        self._formatter = self._make_formatter()
        self._bootstrap = Bootstrap(around.network, around.clock, local, self._formatter)
        self._sender = SnapshotSender(
            around.network,
            hello_to=self._transport.hello_to,
            image=around.image,
            report=self._snapshot_sent,
        )
        self._taker = self._make_taker()
        self._receiver = RaftReceiver(
            local, self, probe=lambda: describe_self(self.driver, local), install=self._taker.install
        )
        self.steward = self._make_steward()
        self._waiting_for_cluster: asyncio.Task[None] | None = None
        self._founds_alone = False

    def service(self) -> Service:
        """RaftService, for the other coordinators."""
        return self._receiver.service()

    def start(self, machine: StateMachine, execute: Execute, initial_members: InitialMembers) -> None:
        """Take part. `execute` is the controller's; no initial members: others must say what to join."""
        self._machine = machine
        self.driver.start(machine)
        self.steward.start(execute)
        self._founds_alone = [number for number, _ in initial_members] == [self.local.id]
        if initial_members and not self.local.is_formatted:
            waiting = self._bootstrap.wait_for_cluster(initial_members)
            self._waiting_for_cluster = asyncio.create_task(waiting, name="wait-for-cluster")

    async def settle(self, timeout_s: float) -> None:
        """The only voter of a cluster need not wait for others: return when it is active."""
        ends_at = self._around.clock.monotonic() + timeout_s
        while (
            not self.driver.is_active and self._will_be_alone() and self._around.clock.monotonic() < ends_at
        ):
            await self._around.clock.sleep(SETTLE_LOOK_S)

    async def hand_over(self, timeout_s: float) -> None:
        """If this coordinator is active, let another one be it before this one stops; wait so long for it."""
        if not self.driver.is_active or self._is_alone():
            return
        try:
            await self.steward.transfer_to(0, timeout_s)
        except StreamkeepError as error:
            _logger.warning("leadership was not handed over before stopping: %s", error.message)

    def hang_up(self) -> None:
        """Hear the other coordinators no more."""
        self._receiver.hang_up()

    async def stop(self) -> None:
        """Take no part any more; a write under way ends."""
        if self._waiting_for_cluster is not None:
            self._waiting_for_cluster.cancel()
            await asyncio.gather(self._waiting_for_cluster, return_exceptions=True)
        await self.steward.close()
        await self.driver.stop()
        await self._sender.close()
        await self._taker.close()
        await self._transport.close()

    # --- what the driver says ---

    def send(self, message: RaftMessage) -> None:
        self._transport.send(message)

    def send_snapshot(self, coordinator_id: int, term: int) -> None:
        member = listed(self.driver.node.log.quorum, coordinator_id)
        assert member is not None, "a leader sends to members"
        self._sender.send(member, term)

    def write(self, write: Write) -> Callable[[], Awaitable[None]]:
        arrived = None if write.snapshot is None else self._taker.take(write.snapshot)
        return partial(self._make_durable, write, arrived)

    async def _make_durable(self, write: Write, arrived: Arrived | None) -> None:
        await self._around.log_worker.run(partial(_carry_out, self._around.storage, write, arrived))
        if arrived is not None:
            assert self._machine is not None, "it has not started"
            self._machine.install(arrived.image, arrived.id.term)
            self.driver.installed(arrived.id.index)

    def quorum_changed(self, quorum: QuorumRecord | None) -> None:
        self._own_membership.quorum_changed(quorum)
        self._transport.follow(quorum)

    def tick(self) -> None:
        self._transport.tick()
        self._own_membership.tick()

    # --- what other coordinators say ---

    def committed_quorum(self) -> tuple[QuorumRecord | None, int]:
        log = self.driver.node.log
        return log.committed_quorum, log.committed_quorum_index

    async def join(self, cluster_id: str, cluster_epoch: int) -> None:
        await self._formatter.join(cluster_id, cluster_epoch)

    def greet(self, hello: RaftHello) -> None:
        self._neighbours.greet(hello)
        self._transport.welcome(hello)

    def step(self, message: RaftMessage) -> None:
        self._transport.heard(message.sender, message.sender_directory_id)
        self._neighbours.heard(message.sender, message.sender_directory_id)
        if message.WhichOneof("body") in ("append_request", "heartbeat"):
            self.local.note_member()
        self.driver.step(message)

    def unreachable(self, coordinator_id: int) -> None:
        self.driver.unreachable(coordinator_id)

    def refused(self, member: QuorumMember, refusal: RaftRefusal) -> None:
        self._neighbours.refused(member, refusal)
        self._own_membership.refused(refusal)

    async def _let_in(self, hello: RaftHello) -> None:
        await self._receiver.let_in(hello)

    # --- parts ---

    def _make_driver(self, log: RaftLog, hard_state: HardState) -> Driver:
        return Driver(
            self._node(log, hard_state),
            log.base_index,
            local=self.local,
            outlets=self,
            clock=self._around.clock,
            rng=self._around.rng,
            tick_s=self._times.tick_s,
            on_failure=self._around.on_failure,
        )

    def _make_formatter(self) -> Formatter:
        around = self._around
        return Formatter(
            around.directory,
            around.storage,
            self.local,
            worker=around.log_worker,
            clock=around.clock,
            rng=around.rng,
            on_founded=self._founded,
            on_failure=around.on_failure,
        )

    def _make_taker(self) -> SnapshotReceiver:
        around = self._around
        return SnapshotReceiver(
            around.disk,
            around.directory.path,
            around.snapshot_worker,
            self.local,
            image=lambda: around.image()[0],
            log=lambda: self.driver.node.log,
            let_in=self._let_in,
            step=self.step,
        )

    def _make_steward(self) -> Steward:
        around = self._around
        return Steward(
            self.driver,
            self.local,
            self._neighbours,
            self._bootstrap,
            network=around.network,
            clock=around.clock,
            image=lambda: around.image()[0],
            election_ticks=self._times.election_ticks,
            on_failure=around.on_failure,
        )

    def _founded(self, entry: RaftEntry) -> None:
        self.driver.found(self._node(RaftLog(entries=[entry]), FIRST_STATE))

    def _snapshot_sent(self, coordinator_id: int, succeeded: bool) -> None:  # noqa: FBT001 - a report
        self.driver.snapshot_sent(coordinator_id, succeeded=succeeded)

    def _is_alone(self) -> bool:
        """The one voter there is."""
        quorum = self.driver.node.log.quorum
        voters = [] if quorum is None else [each.directory_id for each in quorum.members if each.voter]
        return voters == [self.local.directory_id]

    def _will_be_alone(self) -> bool:
        return self._is_alone() or (self._founds_alone and not self.local.is_formatted)

    def _node(self, log: RaftLog, hard_state: HardState) -> RaftNode:
        config = RaftConfig(
            coordinator_id=self.local.id,
            directory_id=self.local.directory_id,
            election_ticks=self._times.election_ticks,
            heartbeat_ticks=TICKS_PER_HEARTBEAT,
        )
        return RaftNode(config, log=log, hard_state=hard_state, rng=self._around.rng, make_no_op=self._no_op)

    def _no_op(self, index: int, term: int) -> bytes:
        """The entry that a term begins with (thesis 3.6.2)."""
        records = [MetadataRecord(no_op=NoOpRecord())]
        entry = MetadataEntry(index=index, term=term, time_ms=self._around.clock.now_ms(), records=records)
        return entry.SerializeToString()


def _carry_out(storage: Storage, write: Write, arrived: Arrived | None) -> None:
    """On the log's worker: what the core wants to be durable."""
    if arrived is not None:
        storage.install(arrived.file)
    storage.write(hard_state=write.hard_state, truncate_from=write.truncate_from, entries=write.entries)

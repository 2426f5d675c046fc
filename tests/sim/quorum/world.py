"""One simulated world: coordinators, brokers, clients and an operator, and who looks after them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from streamkeep_common.methods import EXCHANGE, INSTALL_SNAPSHOT
from tests.sim.faults import shuffled_sides
from tests.sim.linearizability import Operation
from tests.sim.network_weather import MessageWeather
from tests.sim.quorum.brokers import LightBroker
from tests.sim.quorum.clients import MetadataClient
from tests.sim.quorum.cluster import CoordinatorHost, address_of
from tests.sim.quorum.judge import Judge
from tests.sim.quorum.operators import Operator
from tests.sim.quorum.sessions import Troubles
from tests.sim.seed_run import until
from tests.sim.simulation import Simulation
from tests.sim.victim import wake

BROKERS = 3
CLIENTS = 4


@dataclass(frozen=True)
class Plan:
    """What kind of world it is; drawn from the seed."""

    members: int
    spares: int
    snapshot_entries: int
    initialize_by_call: bool
    drop_odds: float
    duplicate_odds: float
    late_odds: float
    slow_snapshot_odds: float

    @classmethod
    def draw(cls, simulation: Simulation) -> Plan:
        rng = simulation.rng("plan")
        return cls(
            members=rng.choice((3, 3, 3, 5)),
            spares=rng.choice((0, 0, 1)),
            snapshot_entries=rng.choice((10, 15, 40)),
            initialize_by_call=rng.random() < 0.25,
            drop_odds=rng.choice((0.0, 0.01, 0.05, 0.15)),
            duplicate_odds=rng.choice((0.0, 0.02, 0.1)),
            late_odds=rng.choice((0.0, 0.02, 0.1)),
            slow_snapshot_odds=rng.choice((0.0, 0.3, 0.8)),
        )


class World:
    """Everything of one seed. Hosts are numbered from 1; those above `plan.members` are spares."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.fabric = simulation.fabric
        self.plan = plan = Plan.draw(simulation)
        self.rng = simulation.rng("world")
        self.history: list[Operation] = []
        self.damaged: dict[int, bytes] = {}
        """Directories, by the number of the host, that are not what they were, and are voters still."""
        self.leaving: dict[int, None] = {}
        """Members whose removal was asked for: it may be in no log, in one out of sight, or committed."""
        self.removals = 0
        """How many an operator is busy with."""
        self.busy: set[str] = set()
        """Names of hosts that a fault looks after: nobody else starts or stops them."""
        self.expects_end: set[int] = set()
        """Numbers of hosts whose process may end by itself, with an OSError."""
        members = range(1, plan.members + 1)
        first = ",".join(f"{number}@{address_of(number)}" for number in members)
        self.hosts = {
            number: CoordinatorHost(simulation, number, self._settings(number, first), self._ended)
            for number in range(1, plan.members + plan.spares + 1)
        }
        addresses = [host.address for host in self.hosts.values()]
        brokers = range(1, BROKERS + 1)
        self.troubles = Troubles(list(brokers), simulation.loop.time)
        self.judge = Judge(simulation, list(self.hosts.values()), self.troubles)
        self.brokers = {
            number: LightBroker(
                simulation, number, addresses, show=self._broker_moved, fail=self.judge.report
            )
            for number in brokers
        }
        self.clients = [self._client(number, addresses) for number in range(1, CLIENTS + 1)]
        operator = simulation.machine("operator")
        self.operator = Operator(operator, addresses, simulation.rng("operator"), simulation.note)
        self._operator_machine = operator

    def _settings(self, number: int, first: str) -> dict[str, str]:
        settings = {"snapshot_entries": str(self.plan.snapshot_entries)}
        if number <= self.plan.members and not self.plan.initialize_by_call:
            settings["initial_members"] = first
        return settings

    def _client(self, number: int, addresses: list[str]) -> MetadataClient:
        name = f"client-{number}"
        rng = self.simulation.rng(name)
        machine = self.simulation.machine(name)
        client = MetadataClient(
            machine, name, addresses, rng=rng, history=self.history, note=self.simulation.note
        )
        machine.spawn(client.run((0.05, 0.6)))
        return client

    # --- beginning and end of faults ---

    async def begin(self) -> None:
        """Everything is started; returns when there is a cluster."""
        for host in self.hosts.values():
            host.start()
        if self.plan.initialize_by_call:
            await self.simulation_task(self.operator.initialize(range(1, self.plan.members + 1)))
        for broker in self.brokers.values():
            broker.start()
        self.bad_weather()
        await until(lambda: self.active() is not None, 15, "there is a first active coordinator")

    def bad_weather(self) -> None:
        """Raft's messages get lost, and so on, as the plan says."""
        plan = self.plan
        self.fabric.weather.of_messages = {
            EXCHANGE.path: MessageWeather(
                drop_odds=plan.drop_odds, duplicate_odds=plan.duplicate_odds, late_odds=plan.late_odds
            ),
            INSTALL_SNAPSHOT.path: MessageWeather(slow_odds=plan.slow_snapshot_odds),
        }

    def heal(self) -> None:
        """No fault goes on from here: links, weather, disks and processes are as they should be."""
        self.fabric.heal()
        self.fabric.weather.of_messages.clear()
        self.busy.clear()
        for host in self.hosts.values():
            host.mend()
        for broker in self.brokers.values():
            if broker.machine is None:
                broker.start()
            assert broker.machine is not None
            wake(broker.machine)

    # --- victims ---

    def pick(self, rng: random.Random) -> CoordinatorHost | None:
        """A running coordinator; the active one more often than others."""
        free = [host for host in self.hosts.values() if host.is_up and host.name not in self.busy]
        active = self.active()
        if active is not None and active in free and rng.random() < 0.4:
            return active
        return rng.choice(free) if free else None

    def is_busy(self, number: int) -> bool:
        return self.hosts[number].name in self.busy

    def names(self) -> list[str]:
        return [host.name for host in self.hosts.values()]

    def sides(self, rng: random.Random) -> tuple[list[str], list[str]]:
        active = self.active()
        return shuffled_sides(self.names(), None if active is None else active.name, rng)

    # --- what is known ---

    def active(self) -> CoordinatorHost | None:
        """Whoever is up and takes itself for the active one; the one with the newest term if several do."""
        return self.judge.active(self.up())

    def up(self) -> Iterator[CoordinatorHost]:
        return (
            host
            for host in self.hosts.values()
            if host.machine is not None and not host.machine.process.paused
        )

    def voters(self) -> list[int]:
        """Of the newest committed quorum."""
        return [each.coordinator_id for each in self.judge.quorum.members if each.voter]

    def members(self) -> list[int]:
        return [each.coordinator_id for each in self.judge.quorum.members]

    def directory_of(self, number: int) -> bytes:
        """The directory that the newest committed quorum lists for that coordinator; empty = none."""
        return next(
            (each.directory_id for each in self.judge.quorum.members if each.coordinator_id == number), b""
        )

    def settle_damage(self) -> None:
        """Forget damage that was made good: the old directory votes no more, or it works again as it was."""
        for number, directory_id in list(self.damaged.items()):
            voters = {each.directory_id for each in self.judge.quorum.members if each.voter}
            inside = self.judge.seat_of(self.hosts[number])
            is_whole = inside is not None and inside.local.directory_id == directory_id
            if directory_id not in voters or is_whole:
                del self.damaged[number]

    def settle_leaving(self) -> None:
        """Forget removals that came to an end: everybody can be seen, and has the same quorum."""
        seen = [self.judge.seat_of(self.hosts[number]) for number in self.members()]
        if not self.removals and None not in seen and not self.quorum_is_changing():
            self.leaving.clear()

    def may_damage(self, number: int) -> bool:
        """It would be a minority still, also of a quorum from which somebody has been removed.

        A removal counts from when it is asked for: it takes effect where it is appended, and if another voter
        is lost in that moment, nobody who has it in the log can be elected or be overruled (thesis 4.1).
        """
        self.settle_damage()
        self.settle_leaving()
        if number in self.damaged or self.quorum_is_changing():
            return False
        voters = self.voters()
        staying = [each for each in voters if each not in self.leaving]
        return number not in voters or all(
            sum(each in some for each in (*self.damaged, number)) <= (len(some) - 1) // 2
            for some in (voters, staying)
        )

    def quorum_is_changing(self) -> bool:
        """Somebody has a quorum in the log that is not committed, or one that has not heard of the newest."""
        for host in self.hosts.values():
            inside = self.judge.seat_of(host)
            if inside is None or not inside.local.is_formatted:
                continue
            if inside.driver.node.log.quorum != self.judge.quorum and host.number in self.members():
                return True
        return False

    def simulation_task(self, coroutine):  # type: ignore[no-untyped-def]
        """A task on the operator's machine."""
        return self._operator_machine.spawn(coroutine)

    # --- processes that end by themselves ---

    def _ended(self, host: CoordinatorHost, error: Exception) -> None:
        """As the real process would: it says why, and is gone. Somebody starts it again."""
        self.simulation.note("ended", f"{host.name}: {error!r}")
        machine = host.machine
        if not isinstance(error, OSError) or host.number not in self.expects_end:
            unexpected = AssertionError(f"{host.name} ended: {error!r}")
            unexpected.__cause__ = error
            self.judge.report(unexpected)
        self.fabric.later(0.0, lambda: self._bury(host, machine))

    def _bury(self, host: CoordinatorHost, machine: object) -> None:
        if host.machine is machine and machine is not None:
            host.kill()
            if host.name not in self.busy:
                self.fabric.later(self.rng.uniform(0.1, 1.0), lambda: host.machine or host.start())

    def _broker_moved(self, broker: LightBroker) -> None:
        self.judge.show(broker.watch.image, broker.name)

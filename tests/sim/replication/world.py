"""One simulated world: coordinators, brokers, writers, readers, an operator, and who looks after them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from streamkeep import Admin, Client, TopicPartition
from streamkeep.errors import StreamkeepError
from streamkeep_broker.log.identity import DirectoryRefusedError
from streamkeep_common.errors import StorageFailedError
from streamkeep_common.image import PartitionImage
from streamkeep_common.methods import EXCHANGE
from tests.sim.faults import shuffled_sides
from tests.sim.network_weather import MessageWeather
from tests.sim.quorum.cluster import CoordinatorHost, address_of
from tests.sim.quorum.judge import Judge
from tests.sim.quorum.sessions import Troubles
from tests.sim.replication.clients import Reader, Writer, cancelled
from tests.sim.replication.history import PartitionHistory
from tests.sim.replication.hosts import BrokerHost
from tests.sim.replication.judge import ReplicationJudge
from tests.sim.replication.ledger import PartitionLedger
from tests.sim.replication.watching import Watch
from tests.sim.seed_run import until
from tests.sim.simulation import Simulation
from tests.sim.victim import Victim

COORDINATORS = 3
WRITERS = 2
READERS = 2
RACKS = ("a", "b", "c")


@dataclass(frozen=True)
class Topic:
    """A topic of a simulated world."""

    name: str
    partitions: int
    replication_factor: int
    settings: Mapping[str, str]


ANY_TIME = {"timestamp_after_max_ms": "-1"}
"""Clocks jump."""

SMALL = {**ANY_TIME, "segment_bytes": "4096", "retention_bytes": "12000"}
"""So that logs roll, and begin later and later."""


@dataclass(frozen=True)
class Plan:
    """What kind of world it is; drawn from the seed."""

    brokers: int
    topics: tuple[Topic, ...]
    power_may_fail: bool
    snapshot_entries: int
    drop_odds: float

    @classmethod
    def draw(cls, simulation: Simulation) -> Plan:
        rng = simulation.rng("plan")
        topics = [Topic("three", 2, 3, ANY_TIME), Topic("short", 1, 3, SMALL)]
        if rng.random() < 0.5:
            topics.append(Topic("two", 1, 2, ANY_TIME))
        if rng.random() < 0.3:
            topics.append(Topic("one", 1, 1, ANY_TIME))
        trusting = rng.random() < 0.3
        if trusting:
            topics.append(Topic("trusting", 1, 3, {**ANY_TIME, "durability": "os"}))
        return cls(
            brokers=rng.choice((3, 3, 4, 5)),
            topics=tuple(topics),
            power_may_fail=not trusting or rng.random() < 0.5,
            snapshot_entries=rng.choice((20, 60, 1000)),
            drop_odds=rng.choice((0.0, 0.0, 0.02)),
        )

    def topic_partitions(self) -> Iterator[TopicPartition]:
        for topic in self.topics:
            for number in range(topic.partitions):
                yield TopicPartition(topic.name, number)


class World:
    """Everything of one seed. Coordinators and brokers are numbered from 1."""

    def __init__(self, simulation: Simulation, watch: Watch) -> None:
        self.simulation = simulation
        self.fabric = simulation.fabric
        self.plan = plan = Plan.draw(simulation)
        self.rng = simulation.rng("world")
        self.busy: set[str] = set()
        self.may_end: set[str] = set()
        """Names of hosts whose process may end by itself, because of its disk."""
        members = range(1, COORDINATORS + 1)
        settings = {
            "initial_members": ",".join(f"{number}@{address_of(number)}" for number in members),
            "snapshot_entries": str(plan.snapshot_entries),
        }
        self.coordinators = {
            number: CoordinatorHost(simulation, number, settings, self._ended) for number in members
        }
        self.brokers = {
            number: BrokerHost(simulation, number, self._settings_of(number), self._ended, self._down)
            for number in range(1, plan.brokers + 1)
        }
        self.ledgers = {each: PartitionLedger(str(each)) for each in plan.topic_partitions()}
        quorum = Judge(simulation, list(self.coordinators.values()), _ForgivingTroubles(simulation))
        self.quorum = quorum
        self.judge = ReplicationJudge(simulation, list(self.brokers.values()), quorum, watch, self.ledgers)
        self._operator_machine = simulation.machine("operator")
        self._client = self._make_client()
        self.admin = Admin(self._client)
        self.writers: list[Writer] = []
        self._writing: list[asyncio.Task[None]] = []
        self._reading: list[asyncio.Task[None]] = []

    def _settings_of(self, number: int) -> dict[str, str]:
        return {
            "coordinators": ",".join(self.coordinator_addresses),
            "rack": RACKS[number % len(RACKS)],
            "retention_check_ms": "3000",
            "checkpoint_ms": "2000",
        }

    @property
    def coordinator_addresses(self) -> list[str]:
        return [host.address for host in self.coordinators.values()]

    @property
    def hosts(self) -> list[CoordinatorHost | BrokerHost]:
        return [*self.coordinators.values(), *self.brokers.values()]

    def _make_client(self) -> Client:
        machine = self._operator_machine
        return Client(
            self.coordinator_addresses,
            network=machine.network,
            clock=machine.clock,
            rng=machine.rng,
            request_timeout_ms=5_000,
        )

    # --- beginning and end of faults ---

    async def begin(self) -> None:
        """Everything is started; returns when every topic can be used and clients are at work."""
        for host in self.hosts:
            host.start()
        await until(lambda: all(host.is_ready for host in self.brokers.values()), 15, "brokers are ready")
        await self.as_operator(self._create_topics())
        for number in range(1, WRITERS + 1):
            self._start_writer(f"writer-{number}")
        for number in range(1, READERS + 1):
            self._start_reader(f"reader-{number}", rack=RACKS[0] if number == 1 else "")
        self.bad_weather()

    async def _create_topics(self) -> None:
        for topic in self.plan.topics:
            await self.admin.create_topic(
                topic.name,
                partitions=topic.partitions,
                replication_factor=topic.replication_factor,
                settings=topic.settings,
            )

    def _start_writer(self, name: str) -> None:
        machine = self.simulation.machine(name)
        rng = self.simulation.rng(f"{name}/choices")
        writer = Writer(
            machine,
            name,
            self.coordinator_addresses,
            self.ledgers,
            rng=rng,
            note=self.simulation.note,
            guard=self.judge.guard,
        )
        self.writers.append(writer)
        self._writing.append(machine.spawn(writer.run()))
        self.judge.guard(self._writing[-1])

    def _start_reader(self, name: str, *, rack: str = "") -> None:
        machine = self.simulation.machine(name)
        reader = Reader(
            machine,
            name,
            self.coordinator_addresses,
            self.ledgers,
            note=self.simulation.note,
            rack=rack,
        )
        self._reading.append(machine.spawn(reader.run()))
        self.judge.guard(self._reading[-1])

    def bad_weather(self) -> None:
        """Raft's messages get lost, and so on, as the plan says."""
        odds = self.plan.drop_odds
        self.fabric.weather.of_messages = {
            EXCHANGE.path: MessageWeather(drop_odds=odds, duplicate_odds=odds, late_odds=odds)
        }
        self.fabric.weather.spike_odds = self.fabric.weather.break_odds = 0.0

    def heal(self) -> None:
        """No fault goes on from here: links, weather, disks and processes are as they should be."""
        self.fabric.heal()
        self.bad_weather()
        self.fabric.weather.of_messages.clear()
        self.busy.clear()
        for host in self.hosts:
            host.mend()

    # --- clients ---

    async def stop_writers(self) -> None:
        """Returns when everything that was written is answered."""
        for writer in self.writers:
            writer.stop()
        await until(lambda: all(task.done() for task in self._writing), 40, "all that is written is answered")

    async def force_leaders(self) -> None:
        """Where nobody is left who may lead: as an operator who knows that nothing more comes back."""
        lost = [each for each in self.ledgers if self.partition_image(each).last_members]
        for topic_partition in lost:
            image = self.partition_image(topic_partition)
            self.judge.metadata.forced.add((image.topic_id, image.partition))
        if lost:
            await self.as_operator(self.admin.elect_leaders(lost, unclean=True))

    def read_again(self) -> None:
        """One more reader, from the beginning of what is left."""
        self._start_reader(FINAL_READER)

    async def stop_readers(self) -> None:
        for task in self._reading:
            await cancelled(task)

    async def as_operator(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Carry it out on the operator's machine. None if the cluster refuses or does not answer."""
        try:
            return await self._operator_machine.spawn(coroutine)
        except StreamkeepError as error:
            self.simulation.note("operator", f"{type(error).__name__}: {error}")
            return None

    # --- victims ---

    def pick(self, rng: random.Random) -> Victim | None:
        """Any server, brokers more often; the active coordinator more often than others."""
        if rng.random() < 0.25:
            return self._pick_coordinator(rng)
        return self.pick_broker(rng)

    def _pick_coordinator(self, rng: random.Random) -> CoordinatorHost | None:
        free = [host for host in self.coordinators.values() if host.is_up and host.name not in self.busy]
        active = self.active()
        if active in free and rng.random() < 0.4:
            return active
        return rng.choice(free) if free else None

    def pick_broker(self, rng: random.Random) -> BrokerHost | None:
        free = [host for host in self.brokers.values() if host.is_up and host.name not in self.busy]
        return rng.choice(free) if free else None

    def may_damage(self, host: BrokerHost) -> bool:
        """Nobody else's disk has anything wrong, and this one's is not needed to make that good."""
        whole = all(
            not replica.is_damaged
            for history in self.judge.histories.values()
            for replica in history.replicas.values()
        )
        return whole and self.judge.metadata.is_whole_without(host.number)

    def names(self) -> list[str]:
        """Servers, and clients."""
        return [*(host.name for host in self.hosts), *(writer.name for writer in self.writers), "reader-1"]

    def sides(self, rng: random.Random) -> tuple[list[str], list[str]]:
        brokers = [host.name for host in self.brokers.values()]
        coordinators = [host.name for host in self.coordinators.values()]
        what = rng.random()
        if what < 0.4:
            return shuffled_sides(brokers, None, rng)
        if what < 0.6:  # a broker that nobody but clients can reach, or nobody but coordinators
            alone = rng.choice(brokers)
            others = [name for name in brokers if name != alone]
            return [alone], rng.choice((coordinators, others))
        return shuffled_sides([*brokers, *coordinators], None, rng)

    # --- what is known ---

    def active(self) -> CoordinatorHost | None:
        """Whoever is up and takes itself for the active coordinator, the newest term first."""
        return self.quorum.active(self.coordinators.values())

    def partition_image(self, topic_partition: TopicPartition) -> PartitionImage:
        """As it was committed last."""
        image = self.judge.metadata.image
        topic_id = image.topic_ids[topic_partition.topic]
        return image.topics[topic_id].partitions[topic_partition.partition]

    def history(self, topic_partition: TopicPartition) -> PartitionHistory:
        image = self.partition_image(topic_partition)
        return self.judge.histories[image.topic_id, image.partition]

    def _down(self, host: BrokerHost, *, power_lost: bool) -> None:
        self.judge.ended(host)
        if not power_lost:
            return
        trusting = [topic.name for topic in self.plan.topics if topic.settings.get("durability") == "os"]
        self.judge.lost_page_cache(host, trusting)

    # --- processes that end by themselves ---

    def _ended(self, host: CoordinatorHost | BrokerHost, error: Exception) -> None:
        """As the real process would: it says why, and is gone. Somebody starts it again."""
        self.simulation.note("ended", f"{host.name}: {error!r}")
        machine = host.machine
        of_full_disk = isinstance(error, OSError | StorageFailedError | DirectoryRefusedError)
        if not of_full_disk or host.name not in self.may_end:
            unexpected = AssertionError(f"{host.name} ended: {error!r}")
            unexpected.__cause__ = error
            self.quorum.report(unexpected)
        self.fabric.later(0.0, lambda: self._bury(host, machine))

    def _bury(self, host: CoordinatorHost | BrokerHost, machine: object) -> None:
        if host.machine is machine and machine is not None:
            host.kill()
            if host.name not in self.busy:
                self.fabric.later(self.rng.uniform(0.1, 1.0), lambda: _start_if_down(host))


def _start_if_down(host: Victim) -> None:
    if not host.is_up:
        host.start()


FINAL_READER = "reader-final"


class _ForgivingTroubles(Troubles):
    """Everybody is always in trouble here: who may be fenced is judged by the simulation of the quorum."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__([], simulation.loop.time)

    def explain(self, broker: int) -> bool:
        return True

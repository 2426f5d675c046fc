"""Which processes a development cluster has, and with which options. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

COORDINATOR = "coordinator"
BROKER = "broker"
ROLES = (COORDINATOR, BROKER)
COORDINATOR_PORT = 7101
BROKER_PORT = 7201
# Brokers' ports follow the coordinators' by this much, wherever those begin.
BROKER_PORT_STEP = BROKER_PORT - COORDINATOR_PORT
DEFAULT_COORDINATORS = 3
MAX_COORDINATORS = 7
DEFAULT_BROKERS = 3
MAX_BROKERS = 99


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """One process to start. `address` is host:port; with port 0 the plan is not settled yet."""

    role: str
    id: int
    address: str
    data_dir: Path
    log: Path

    @property
    def name(self) -> str:
        return f"{self.role} {self.id}"

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def arguments(self, coordinators: Sequence[ServerPlan]) -> list[str]:
        """What follows the interpreter on the command line, in a cluster with these coordinators."""
        common = ["--id", str(self.id), "--listen", self.address, "--metrics-listen", "127.0.0.1:0"]
        if self.role == COORDINATOR:
            members = ",".join(f"{member.id}@{member.address}" for member in coordinators)
            own = ["--data-dir", str(self.data_dir), "--initial-members", members]
        else:
            addresses = ",".join(coordinator.address for coordinator in coordinators)
            own = ["--data-dirs", str(self.data_dir), "--coordinators", addresses]
        return ["-m", f"streamkeep_{self.role}", *common, *own]


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Coordinators and brokers under one directory, each by id."""

    data_dir: Path
    coordinators: Sequence[ServerPlan]
    brokers: Sequence[ServerPlan]

    @property
    def servers(self) -> list[ServerPlan]:
        return [*self.coordinators, *self.brokers]

    @property
    def ports(self) -> dict[str, int]:
        """By the name of the process; only those that are settled."""
        return {server.name: server.port for server in self.servers if server.port}

    def with_ports(self, ports: Mapping[str, int]) -> ClusterPlan:
        """The same processes, those named at these ports."""

        def moved(server: ServerPlan) -> ServerPlan:
            port = ports.get(server.name, server.port)
            return replace(server, address=f"127.0.0.1:{port}")

        return replace(
            self, coordinators=[*map(moved, self.coordinators)], brokers=[*map(moved, self.brokers)]
        )


def plan_cluster(
    data_dir: Path,
    *,
    coordinators: int = DEFAULT_COORDINATORS,
    brokers: int = DEFAULT_BROKERS,
    port_base: int = COORDINATOR_PORT,
) -> ClusterPlan:
    """Coordinators from `port_base` on, brokers from `port_base` + 100; 0: no port is settled yet."""
    assert 1 <= coordinators <= MAX_COORDINATORS and 1 <= brokers <= MAX_BROKERS

    def server(role: str, number: int, first_port: int) -> ServerPlan:
        port = first_port + number - 1 if port_base else 0
        name = f"{role}-{number}"
        log = data_dir / "logs" / f"{name}.log"
        return ServerPlan(role, number, f"127.0.0.1:{port}", data_dir / name, log)

    return ClusterPlan(
        data_dir,
        [server(COORDINATOR, number, port_base) for number in range(1, coordinators + 1)],
        [server(BROKER, number, port_base + BROKER_PORT_STEP) for number in range(1, brokers + 1)],
    )


def first_port(known_ports: Mapping[str, int]) -> int:
    """The `port_base` of a cluster whose ports are known; 0 if they were drawn, 7101 if there are none."""
    if not known_ports:
        return COORDINATOR_PORT
    first = known_ports.get(f"{COORDINATOR} 1", 0)
    return first if known_ports.get(f"{BROKER} 1") == first + BROKER_PORT_STEP else 0


def coordinator_count(asked: int | None, present: Sequence[int]) -> int:
    """How many coordinators to start in a directory that has those of the ids `present`.

    Unless told otherwise as many as there are: they are the quorum that its data belong to. ValueError if
    so few are asked for that they could not agree on anything.
    """
    there = max(present, default=0)
    if asked is None:
        return there or DEFAULT_COORDINATORS
    if 2 * asked <= there:
        raise ValueError(f"{asked} of the {there} coordinators that are there cannot agree on anything")
    return asked

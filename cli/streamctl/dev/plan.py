"""Which processes a development cluster has, and with which options. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COORDINATOR = "coordinator"
BROKER = "broker"
COORDINATOR_PORT = 7101
BROKER_PORT = 7201
# Brokers' ports follow the coordinators' by this much, wherever those begin.
BROKER_PORT_STEP = BROKER_PORT - COORDINATOR_PORT
MAX_PROCESSES = 100


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """One process to start. `address` is host:port; port 0 is any free one."""

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

    def arguments(self, coordinator_address: str) -> list[str]:
        """What follows the interpreter on the command line."""
        common = ["--id", str(self.id), "--listen", self.address, "--metrics-listen", "127.0.0.1:0"]
        if self.role == COORDINATOR:
            return ["-m", "streamkeep_coordinator", *common, "--data-dir", str(self.data_dir)]
        return [
            "-m",
            "streamkeep_broker",
            *common,
            *("--coordinators", coordinator_address),
            *("--data-dirs", str(self.data_dir)),
        ]


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """One coordinator and its brokers under one directory."""

    data_dir: Path
    coordinator: ServerPlan
    brokers: Sequence[ServerPlan]

    @property
    def servers(self) -> list[ServerPlan]:
        return [self.coordinator, *self.brokers]


def plan_cluster(data_dir: Path, *, brokers: int, port_base: int = COORDINATOR_PORT) -> ClusterPlan:
    """One coordinator at `port_base`, brokers from `port_base` + 100; `port_base` 0 takes free ports."""
    assert 1 <= brokers < MAX_PROCESSES

    def server(role: str, number: int, first_port: int) -> ServerPlan:
        port = first_port + number - 1 if port_base else 0
        name = f"{role}-{number}"
        log = data_dir / "logs" / f"{name}.log"
        return ServerPlan(role, number, f"127.0.0.1:{port}", data_dir / name, log)

    return ClusterPlan(
        data_dir,
        server(COORDINATOR, 1, port_base),
        [server(BROKER, number, port_base + BROKER_PORT_STEP) for number in range(1, brokers + 1)],
    )

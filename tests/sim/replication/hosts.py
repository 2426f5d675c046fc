"""Brokers on simulated machines: the shipping ones, each with a host and disks that outlive it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

from streamkeep_broker.broker import Broker
from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import BrokerSettings
from tests.sim.disk import SimDisk
from tests.sim.simulation import Machine, Simulation
from tests.sim.victim import Victim
from tests.sim.whole_cluster import DATA

FLUSHES_S = ((20e-6, 500e-6), (20e-6, 500e-6), (500e-6, 5e-3), (2e-3, 20e-3))
"""Disks differ."""


class OnDown(Protocol):
    """Called when a broker's process is dead, and perhaps what was not flushed is lost."""

    def __call__(self, host: BrokerHost, *, power_lost: bool) -> None: ...


class BrokerHost(Victim):
    """Where one broker lives. `on_end` hears of a process that ended by itself, and why."""

    def __init__(
        self,
        simulation: Simulation,
        number: int,
        settings: Mapping[str, str],
        on_end: Callable[[BrokerHost, Exception], None],
        on_down: OnDown,
    ) -> None:
        super().__init__(simulation, f"broker-{number}", FLUSHES_S)
        self.number = number
        self.address = f"{self.name}:7201"
        self.broker: Broker | None = None
        self.is_ready = False
        """A coordinator counts on it."""
        texts = {"id": str(number), "listen": self.address, "data_dirs": DATA, "min_free_bytes": "0"}
        self._settings = BrokerSettings.of({**texts, **settings})
        self._on_end = on_end
        self._on_down = on_down

    def start(self) -> None:
        machine = self.boot()
        self.broker = machine.process.call(self._make, machine)
        machine.spawn(self._run(self.broker))

    def kill(self) -> None:
        super().kill()
        self._on_down(self, power_lost=False)

    def cut_power(self) -> None:
        super().cut_power()
        self._on_down(self, power_lost=True)

    async def shut_down(self) -> None:
        """SIGTERM: the process hands over, cleans up and ends, unless somebody kills it meanwhile."""
        machine, broker = self.machine, self.broker
        assert machine is not None and broker is not None
        stopping = machine.spawn(broker.stop())
        while not stopping.done() and self.machine is machine:
            await asyncio.sleep(0.01)
        if self.machine is machine:
            stopping.result()
            self.kill()

    def _end(self) -> None:
        super()._end()
        self.broker = None
        self.is_ready = False

    async def _run(self, broker: Broker) -> None:
        try:
            await broker.start()
            self.is_ready = True
        except Exception as error:  # as the real process, which says why and ends
            self._on_end(self, error)

    def _make(self, machine: Machine) -> Broker:
        return Broker(
            self._settings,
            clock=machine.clock,
            rng=machine.rng,
            disk=self.disk,
            network=machine.network,
            workers=machine.workers,
            metrics=Metrics(),
            on_failure=lambda error: self._on_end(self, error),
        )

    # --- what may happen to its disk ---

    def empty_directory(self) -> None:
        """While it is down."""
        self.disk.remove_tree(Path(DATA))

    def segments(self) -> list[Path]:
        """Files of records that hold any."""
        directory = Path(DATA)
        if not self.disk.exists(directory):
            return []
        logs = [directory / name for name in self.disk.list_directory(directory)]
        paths = [
            log / name
            for log in logs
            if is_directory(self.disk, log)
            for name in self.disk.list_directory(log)
        ]
        return [path for path in paths if path.suffix == ".log" and self.disk.file_size(path)]

    def flip_a_bit(self, rng: random.Random, *, spared: Collection[str]) -> Path | None:
        """In one of its segments, if there is any, but in none of these topics; says where."""
        paths = [path for path in self.segments() if path.parent.name.rpartition("-")[0] not in spared]
        if not paths:
            return None
        path = rng.choice(paths)
        self.disk.flip_bit(path, rng.randrange(self.disk.file_size(path)), rng.randrange(8))
        return path


def is_directory(disk: SimDisk, path: Path) -> bool:
    try:
        disk.file_size(path)
    except IsADirectoryError:
        return True
    except OSError:
        return False
    return False

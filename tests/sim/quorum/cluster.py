"""Coordinators on simulated machines: the shipping ones, each with a host and a disk that outlive it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

from streamkeep_common.server.metrics import Metrics
from streamkeep_common.settings import CoordinatorSettings
from streamkeep_coordinator.coordinator import Coordinator
from tests.sim.simulation import Machine, Simulation
from tests.sim.victim import Victim
from tests.sim.whole_cluster import DATA

FLUSHES_S = ((20e-6, 500e-6), (20e-6, 500e-6), (500e-6, 5e-3), (2e-3, 40e-3))
"""Disks differ; that of whoever leads may be the slowest."""


class CoordinatorHost(Victim):
    """Where one coordinator lives. `on_end` hears of a process that ended by itself, and why."""

    def __init__(
        self,
        simulation: Simulation,
        number: int,
        settings: Mapping[str, str],
        on_end: Callable[[CoordinatorHost, Exception], None],
    ) -> None:
        super().__init__(simulation, f"coordinator-{number}", FLUSHES_S)
        self.number = number
        self.address = address_of(number)
        self.coordinator: Coordinator | None = None
        texts = {"id": str(number), "listen": self.address, "data_dir": DATA, **settings}
        self._settings = CoordinatorSettings.of(texts)
        self._on_end = on_end

    def start(self) -> None:
        machine = self.boot()
        self.coordinator = machine.process.call(self._make, machine)
        machine.spawn(self._run(self.coordinator))

    def _end(self) -> None:
        super()._end()
        self.coordinator = None

    async def _run(self, coordinator: Coordinator) -> None:
        try:
            await coordinator.start()
        except Exception as error:  # as the real process, which says why and ends
            self._on_end(self, error)

    def _make(self, machine: Machine) -> Coordinator:
        return Coordinator(
            self._settings,
            clock=machine.clock,
            rng=machine.rng,
            disk=self.disk,
            network=machine.network,
            workers=machine.workers,
            metrics=Metrics(),
            on_failure=lambda error: self._on_end(self, error),
        )

    # --- what may happen to its disk, while it is down ---

    def files(self) -> list[Path]:
        """What is in its data directory and not empty."""
        directory = Path(DATA)
        if not self.disk.exists(directory):
            return []
        paths = [directory / name for name in self.disk.list_directory(directory)]
        return [path for path in paths if self._is_file(path) and self.disk.file_size(path)]

    def has_quarantine(self) -> bool:
        """Files were found damaged on it and put aside."""
        directory = Path(DATA)
        return self.disk.exists(directory) and any(
            name.startswith("damaged-") for name in self.disk.list_directory(directory)
        )

    def empty_directory(self) -> None:
        self.disk.remove_tree(Path(DATA))

    def flip_a_bit(self, rng: random.Random) -> str:
        """In one of its files, if there is any; says where."""
        path = rng.choice(self.files())
        byte = rng.randrange(self.disk.file_size(path))
        self.disk.flip_bit(path, byte, rng.randrange(8))
        return f"{path.name} byte {byte}"

    def truncate_a_file(self, rng: random.Random) -> str:
        """At a byte within it, durably."""
        path = rng.choice(self.files())
        size = rng.randrange(self.disk.file_size(path))
        self.disk.cut_short(path, lost_bytes=self.disk.file_size(path) - size)
        return f"{path.name} to {size} bytes"

    def _is_file(self, path: Path) -> bool:
        try:
            self.disk.file_size(path)
        except OSError:
            return False
        return True


def address_of(number: int) -> str:
    """host:port of a coordinator."""
    return f"coordinator-{number}:7101"

"""A host on which things go wrong: its clock, its disk, its process. What they do to it `faults` knows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tests.sim.simulation import Machine, Simulation
from tests.sim.whole_cluster import SimHost

ROOM_BYTES = 1 << 40
"""What a disk holds that is not full."""


class Victim(SimHost, ABC):
    """Where one server lives. Work on its disk takes as one of `flushes_s` says, bounds in seconds."""

    def __init__(self, simulation: Simulation, name: str, flushes_s: Sequence[tuple[float, float]]) -> None:
        super().__init__(simulation, name)
        self.clock_rate = 1.0
        self.flush_s = simulation.rng(f"{name}/flush").choice(flushes_s)

    @property
    def is_up(self) -> bool:
        return self.machine is not None

    @abstractmethod
    def start(self) -> None:
        """Start the process; it serves when it is ready."""

    def boot(self) -> Machine:
        machine = super().boot()
        machine.clock.run_at(self.clock_rate)
        machine.workers.delay_s = self.flush_s
        return machine

    def mend(self) -> None:
        """Disk and process are as they should be, whatever was done to them."""
        self.disk.heal()
        self.disk.set_capacity(ROOM_BYTES)
        if self.machine is None:
            self.start()
        assert self.machine is not None
        wake(self.machine)
        self.machine.workers.resume()
        self.machine.workers.delay_s = self.flush_s


def wake(machine: Machine) -> None:
    """A process that was stopped goes on."""
    if machine.process.paused:
        machine.process.resume()

"""What the loop around the core does at once, and what it does later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from streamkeep_common.seams import Clock
from streamkeep_coordinator.quorum.raft_loop import RaftLoop
from streamkeep_coordinator.raft import Write
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.coordinator.raft.nodes import make_node, quorum_of


class Around:
    """Follower and outlets in one; notes in which order things happen."""

    def __init__(self) -> None:
        self.happened: list[str] = []

    def write(self, write: Write) -> Callable[[], Awaitable[None]]:
        self.happened.append("taken")

        async def make_durable() -> None:
            self.happened.append("written")

        return make_durable

    def core_says(self, *_: object) -> None:
        self.happened.append("said")

    def core_failed(self, error: Exception) -> None:
        raise error

    def may_tick(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def test_what_belongs_to_a_write_is_taken_when_the_core_asks_for_it() -> None:
    """A snapshot that arrives before the write's own task runs must not be taken for the one to install."""

    async def run(simulation: Simulation) -> None:
        clock: Clock = simulation.machine("coordinator-1").clock
        around = Around()
        node = make_node(quorum=quorum_of(1))
        loop = RaftLoop(node, around, around, clock, tick_s=0.05)
        loop.start()
        async with asyncio.timeout(5):
            while "written" not in around.happened:
                await asyncio.sleep(0.01)
        assert around.happened[around.happened.index("taken") :][:3] == ["taken", "said", "written"]
        loop.end()
        await loop.wait_ended()

    run_simulation(1, run)

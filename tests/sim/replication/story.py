"""One seed from beginning to end: a cluster, faults for a minute, then peace, and all must come right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from streamkeep_broker.services import followed, push_session
from streamkeep_common.limits import KIB
from tests.sim.replication.counting import counting
from tests.sim.replication.faults import FAULTS
from tests.sim.replication.recovery import recover
from tests.sim.replication.watching import Watch
from tests.sim.replication.world import World
from tests.sim.seed_run import Result, run_story, trouble
from tests.sim.simulation import Simulation

SMALLER = (
    (followed, "FAR_BEHIND_BYTES", 8 * KIB),
    (followed, "CAUGHT_UP_BYTES", 2 * KIB),
    (push_session, "CHUNK_BYTES", 4 * KIB),
)


async def story(simulation: Simulation, watch: Watch) -> Result:
    world = World(simulation, watch)
    with counting(world):
        await world.begin()
        await trouble(world, FAULTS, simulation.rng("faults"))
        simulation.note("healed")
        world.heal()
        await recover(world)
    return Result.of(simulation)


@contextmanager
def shortened(watch: Watch) -> Iterator[None]:
    """What is far, late or large in a real cluster is so sooner here; and all is watched."""
    with ExitStack() as stack:
        stack.enter_context(watch.watching())
        for module, name, value in SMALLER:
            stack.enter_context(patch.object(module, name, value))
        yield


def run_seed(seed: int, *, keep_trace: bool = False) -> Result:
    """Raises SeedFailedError."""
    watch = Watch()
    return run_story(
        seed,
        lambda simulation: story(simulation, watch),
        shortened=shortened(watch),
        keep_trace=keep_trace,
    )

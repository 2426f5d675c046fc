"""One seed from beginning to end: a cluster, faults for a minute, then peace, and all must come right."""

from __future__ import annotations

from unittest.mock import patch

from streamkeep_coordinator import snapshotter
from tests.sim.linearizability import check
from tests.sim.quorum.faults import FAULTS
from tests.sim.quorum.world import World
from tests.sim.seed_run import Result, run_story, trouble, until
from tests.sim.simulation import Simulation
from tests.sim.violation import InvariantError

TRAILING_ENTRIES = 5
"""Few, so that snapshots have to be sent; the shipping window would hold all that ever happens here."""
LINEARIZABLE = "the history of each topic name is linearizable"


async def story(simulation: Simulation) -> Result:
    world = World(simulation)
    await world.begin()
    await trouble(world, FAULTS, simulation.rng("faults"))
    simulation.note("healed")
    world.heal()
    await recover(world)
    verdict = check(world.history)
    if not verdict.linearizable:
        raise InvariantError(LINEARIZABLE, verdict.explanation)
    return Result.of(simulation)


async def recover(world: World) -> None:
    """Within bounded time: somebody decides, everybody can write, all have the same, nobody is missing."""
    await until(lambda: world.active() is not None, 10, "there is an active coordinator")
    writes = [client.writes_done for client in world.clients]
    await until(
        lambda: all(
            client.writes_done > before for client, before in zip(world.clients, writes, strict=True)
        ),
        30,
        "every client has written something",
    )
    await until(lambda: _is_whole(world), 40, "damaged directories are replaced and vote again")
    for client in world.clients:
        client.stop()
    await until(lambda: _is_even(world), 20, "all members have the same, and so have brokers")


def _is_whole(world: World) -> bool:
    world.settle_damage()
    members = world.judge.quorum.members
    own = {
        inside.local.directory_id for host in world.up() if (inside := world.judge.seat_of(host)) is not None
    }
    return not world.damaged and all(each.voter and each.directory_id in own for each in members)


def _is_even(world: World) -> bool:
    index = world.judge.agreement.committed_index
    for number in world.members():
        inside = world.judge.seat_of(world.hosts[number])
        if (
            inside is None
            or inside.driver.node.log.last_index != index
            or inside.images.committed.index != index
        ):
            return False
    return all(
        broker.watch.image.index == index and not broker.session.fenced for broker in world.brokers.values()
    )


def run_seed(seed: int, *, keep_trace: bool = False) -> Result:
    """Raises SeedFailedError."""
    shortened = patch.object(snapshotter, "TRAILING_ENTRIES", TRAILING_ENTRIES)
    return run_story(seed, story, shortened=shortened, keep_trace=keep_trace)

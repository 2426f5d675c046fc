"""Raft's promises under chaos: one leader a term, log matching, leader completeness, what is committed never
changes, commit indexes never go back, reads are linearizable; and after healing there is a leader and
progress.

    SEEDS=2000 pytest tests/property/test_raft_core.py        SEED=17 pytest ... (one seed)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.property.raft_chaos.member import ELECTION_TICKS
from tests.property.raft_chaos.world import World
from tests.sim.seeds import seeds

SEEDS = seeds(100)
GROUPS = 5
STEPS = 300
HEALING_STEPS = 300
HAPPENINGS = (
    "leader",
    "crash",
    "wipe",
    "truncation",
    "snapshot",
    "read",
    "proposal",
    "transfer",
    "quorum change",
)


def live(seed: int) -> Counter[str]:
    world = World(seed, voters=3 if seed % 3 else 5)
    for _ in range(STEPS):
        world.step()
    world.heal()
    await_all(world, World.is_well)
    for _ in range(2 * ELECTION_TICKS):
        world.step()
    await_all(world, World.is_well)
    assert_progress(world)
    return world.judge.seen


def await_all(world: World, condition: Callable[[World], bool]) -> None:
    for _ in range(HEALING_STEPS):
        if condition(world):
            return
        world.step()
    raise AssertionError("no leader, or somebody does not follow it")


def assert_progress(world: World) -> None:
    """A proposal is committed everywhere, and a read is answered to everybody."""
    committed = world.judge.committed_index
    world.propose()
    for member in world.members.values():
        member.reads.clear()
        world.read(member)
    await_all(world, lambda world: world.judge.committed_index > committed and world.is_well())
    await_all(world, lambda world: not any(member.reads for member in world.members.values()))


@pytest.mark.parametrize("group", range(GROUPS))
def test_raft_keeps_its_promises_under_chaos(group: int) -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS[group::GROUPS]:
        try:
            seen += live(seed)
        except Exception as error:
            raise AssertionError(f"SEED={seed}: {error!r}") from error
    if len(SEEDS) >= 100:
        assert [each for each in HAPPENINGS if not seen[each]] == []


def test_a_seed_is_one_run() -> None:
    assert live(7) == live(7)

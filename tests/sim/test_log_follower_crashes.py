"""A follower's log through crashes at any moment: it is always a prefix of what its leaders gave it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.sim.log_follower import Follower
from tests.sim.seeds import seeds
from tests.sim.simulation import Simulation, run_simulation

LIVES = 6
SEEDS = seeds(40)
SHARES = 4


async def lives(simulation: Simulation) -> Counter[str]:
    follower, rng = Follower(simulation), simulation.rng("lives")
    for _ in range(LIVES):
        manager, log = await follower.begin_life()
        following = follower.host.machine.spawn(follower.follow(manager, log))
        await asyncio.sleep(rng.choice((0.002, 0.01, 0.05)) * rng.random())
        if following.done():
            following.result()
        power_cut = rng.random() < 0.7
        follower.seen["power cut" if power_cut else "kill"] += 1
        follower.seen["crash within a change"] += follower.changing is not None
        follower.host.die(power_cut=power_cut)
    await follower.begin_life()
    return follower.seen


@pytest.mark.parametrize("share", range(SHARES))
def test_a_followers_log_is_a_prefix_of_what_it_was_given_at_any_moment_of_death(share: int) -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS[share::SHARES]:
        try:
            seen += run_simulation(seed, lives)
        except BaseException as failure:
            failure.add_note(f"seed {seed}")
            raise
    if len(SEEDS) >= 40:
        print(dict(seen))
        wanted = {"power cut", "kill", "push", "truncate", "begin anew", "quarantine"}
        wanted |= {"crash within a change", "lost what was not flushed"}
        assert wanted <= seen.keys(), "something never happened, so nothing was shown about it"

"""Whole clusters with replicas through everything that can go wrong, seed by seed.

make sim WORLD=replication SEEDS=200 FROM=0        make sim WORLD=replication SEED=17 (with its trace)
"""

from __future__ import annotations

import pytest

from tests.sim.other_processes import printed_in_two_processes
from tests.sim.replication.story import run_seed
from tests.sim.seeds import seeds

SHARES = 5
SUITE_SEEDS = 20


@pytest.mark.parametrize("share", range(SHARES))
def test_what_is_acknowledged_stays_and_everybody_gets_on_whatever_happens(share: int) -> None:
    for seed in seeds(SUITE_SEEDS)[share::SHARES]:
        run_seed(seed)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(5049, id="a power cut at the end of a cut: held to what was acknowledged before it"),
        pytest.param(200026, id="a log begun anew just where it ended: held to hold what it held"),
        pytest.param(200216, id="corrupt after a power cut, and registered: held to be whole"),
        pytest.param(200238, id="a disk emptied, and too full to be set up: held to be a fault"),
        pytest.param(300168, id="damaged and torn: held to have what it has no more"),
        pytest.param(301052, id="a log whose very name a power cut took: held to what was in it"),
        pytest.param(630429, id="a log that is not flushed, being cut: held to have lost what it kept"),
        pytest.param(631585, id="an operator who was refused for a moment: held to have given up"),
    ],
)
def test_pinned_seeds_that_were_judged_wrongly(seed: int) -> None:
    run_seed(seed)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(300327, id="logs that a full disk kept closed at the start passed for lost"),
        pytest.param(300468, id="a clean stop hid a power cut that no coordinator had heard of"),
        pytest.param(302165, id="a flush ended for somebody who had been cancelled"),
        pytest.param(631845, id="a leader that had lost its empty log dropped what it wrote since"),
        pytest.param(600578, id="a wrong frame before a cut passed for a torn one, and was cut, too"),
    ],
)
def test_pinned_seeds_that_found_faults(seed: int) -> None:
    run_seed(seed)


def test_one_seed_gives_one_trace_in_every_process() -> None:
    program = "from tests.sim.replication.story import run_seed\nprint(run_seed(3).digest)\n"
    one, other = printed_in_two_processes(program)
    assert one == other
    assert len(one) == 1

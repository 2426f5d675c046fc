"""Whole clusters with replicas through everything that can go wrong, seed by seed.

make sim WORLD=replication SEEDS=200 FROM=0        make sim WORLD=replication SEED=17 (with its trace)
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.replication.story import run_seed
from tests.sim.seeds import seeds

SHARES = 5
SUITE_SEEDS = 20


@pytest.mark.parametrize("share", range(SHARES))
def test_what_is_acknowledged_stays_and_everybody_gets_on_whatever_happens(share: int) -> None:
    for seed in seeds(SUITE_SEEDS)[share::SHARES]:
        run_seed(seed)


def test_a_power_cut_at_the_end_of_a_cut_leaves_the_log_cut() -> None:
    """Pinned: the judge held a replica to what it had acknowledged before its log was cut back."""
    run_seed(5049)


def test_one_seed_gives_one_trace_in_every_process() -> None:
    program = "from tests.sim.replication.story import run_seed\nprint(run_seed(3).digest)\n"
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root), *sys.path])
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1

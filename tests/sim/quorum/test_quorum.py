"""Three and five coordinators through everything that can go wrong, seed by seed.

make sim WORLD=quorum SEEDS=200 FROM=0        make sim WORLD=quorum SEED=17 (one seed, with its whole trace)
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.sim.other_processes import printed_in_two_processes
from tests.sim.quorum.report import REQUIRED
from tests.sim.quorum.story import run_seed
from tests.sim.report import missing
from tests.sim.seeds import seeds

SHARES = 8
SUITE_SEEDS = 80


@pytest.mark.parametrize("share", range(SHARES))
def test_what_is_committed_stays_and_everybody_is_served_whatever_happens(share: int) -> None:
    for seed in seeds(SUITE_SEEDS)[share::SHARES]:
        run_seed(seed)


def test_no_voter_is_lost_while_another_is_being_removed() -> None:
    """Pinned: of three voters one was removed, and in that moment another lost its directory. Two of two were
    needed, one was gone: no quorum survives that, so the world must not do it."""
    run_seed(102426)


def test_who_waits_for_a_registration_to_be_committed_is_not_fenced_for_its_silence() -> None:
    """Pinned: the only other voter's disk hung for four seconds after an election, and all brokers were
    fenced when it came back."""
    run_seed(103374)


def test_one_seed_gives_one_trace_in_every_process() -> None:
    program = "from tests.sim.quorum.story import run_seed\nprint(run_seed(7).digest, run_seed(8).digest)\n"
    outputs = printed_in_two_processes(program)
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0])) == 2
    assert run_seed(7).digest == outputs[0][0]


def test_keeping_the_whole_trace_changes_nothing() -> None:
    brief, whole = run_seed(9), run_seed(9, keep_trace=True)
    assert whole.digest == brief.digest
    assert len(whole.trace) > 10_000
    assert not brief.trace


def test_a_kind_of_event_that_never_happened_is_told() -> None:
    counts = Counter(dict.fromkeys(REQUIRED, 1))
    assert missing(counts, REQUIRED) == []
    del counts["truncated"]
    assert missing(counts, REQUIRED) == ["truncated"]

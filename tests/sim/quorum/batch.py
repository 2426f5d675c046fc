"""One seed as a worker process runs it."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass

from tests.sim.quorum.story import SeedFailedError, run_seed


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one seed; `failure` is empty if it passed."""

    seed: int
    counts: Counter[str]
    time_s: float
    failure: str


def collect_seldom() -> None:
    """For a process of many seeds. Each makes many objects and few cycles: a tenth of its time went into
    looking for them.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run(seed: int) -> Outcome:
    try:
        result = run_seed(seed)
    except SeedFailedError as failure:
        return Outcome(seed, Counter(), 0.0, "\n".join([*failure.last, str(failure)]))
    return Outcome(seed, result.counts, result.time_s, "")

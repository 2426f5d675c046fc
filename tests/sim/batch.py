"""Which simulated worlds there are, and one seed of one of them as a worker process runs it."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.sim.quorum import report as quorum_report
from tests.sim.quorum import story as quorum_story
from tests.sim.replication import report as replication_report
from tests.sim.replication import story as replication_story
from tests.sim.seed_run import Result, SeedFailedError


@dataclass(frozen=True, slots=True)
class SimulatedWorld:
    """`run_seed` takes a seed and `keep_trace`; `required` are the kinds of events that must happen."""

    run_seed: Callable[..., Result]
    required: Sequence[str]


WORLDS = {
    "quorum": SimulatedWorld(quorum_story.run_seed, quorum_report.REQUIRED),
    "replication": SimulatedWorld(replication_story.run_seed, replication_report.REQUIRED),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one seed; `failure` is empty if it passed."""

    seed: int
    counts: Counter[str]
    time_s: float
    failure: str


def collect_between_seeds() -> None:
    """For a process of many seeds. Each makes many objects and few cycles: a seventh of its time went into
    looking for them.
    """
    gc.freeze()
    gc.disable()


def run(world: str, seed: int) -> Outcome:
    try:
        result = WORLDS[world].run_seed(seed)
    except SeedFailedError as failure:
        return Outcome(seed, Counter(), 0.0, "\n".join([*failure.last, str(failure)]))
    finally:
        gc.collect()
    return Outcome(seed, result.counts, result.time_s, "")

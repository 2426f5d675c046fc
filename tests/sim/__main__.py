"""`make sim`: many seeds, shared by the simulated worlds, over all cores; or one seed with its trace.

python -m tests.sim --seeds 200 --from 0        python -m tests.sim --world replication --seed 17
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

from tests.sim.batch import WORLDS, Outcome, collect_between_seeds, run
from tests.sim.report import missing, table
from tests.sim.seed_run import SeedFailedError

DEFAULT_SEEDS = 200
ENOUGH_SEEDS = 100
"""From so many of a world on, every required kind of event must have happened."""


def run_all(world: str, seeds: Sequence[int], processes: int) -> list[Outcome]:
    """All of them, with a line that shows how far it is; failures as they come."""
    began = time.monotonic()  # noqa: TID251 - how long people wait
    outcomes: list[Outcome] = []
    with multiprocessing.get_context("spawn").Pool(processes, initializer=collect_between_seeds) as pool:
        for outcome in pool.imap_unordered(partial(run, world), seeds):
            outcomes.append(outcome)
            if outcome.failure:
                print(f"\n--- {world}, seed {outcome.seed} ---\n{outcome.failure}\n", flush=True)
            _show_progress(world, outcomes, len(seeds), time.monotonic() - began)  # noqa: TID251
    print(file=sys.stderr)
    return outcomes


def _show_progress(world: str, outcomes: Sequence[Outcome], total: int, elapsed_s: float) -> None:
    hours = sum(outcome.time_s for outcome in outcomes) / 3600
    failed = sum(bool(outcome.failure) for outcome in outcomes)
    done = f"{world}: {len(outcomes)}/{total} seeds"
    line = f"{done}, {hours:.2f} virtual hours, {failed} failed, {elapsed_s:.0f} s"
    end = "\r" if sys.stderr.isatty() else "\n"
    if sys.stderr.isatty() or len(outcomes) % 50 == 0 or len(outcomes) == total:
        print(line, end=end, file=sys.stderr, flush=True)


def summarize(world: str, outcomes: Iterable[Outcome], seeds: Sequence[int]) -> int:
    """The exit code."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.seed)
    counts: Counter[str] = Counter()
    for outcome in ordered:
        counts += outcome.counts
    failed = [outcome.seed for outcome in ordered if outcome.failure]
    print(table(counts))
    hours = sum(outcome.time_s for outcome in ordered) / 3600
    print(
        f"{world}: {len(seeds)} seeds from {seeds[0]}, {hours:.2f} virtual hours, {len(failed)} failed",
        flush=True,
    )
    if failed:
        print("replay with: " + "  ".join(f"make sim WORLD={world} SEED={seed}" for seed in failed[:10]))
    never = missing(counts, WORLDS[world].required) if len(seeds) >= ENOUGH_SEEDS else []
    if never:
        print(f"it never happened: {', '.join(never)}")
    return 1 if failed or never else 0


def replay(world: str, seed: int) -> int:
    """One seed, everything it does, on standard output."""
    try:
        result = WORLDS[world].run_seed(seed, keep_trace=True)
    except SeedFailedError as failure:
        print("\n".join(failure.last))
        print(f"{world}, {failure}")
        return 1
    print("\n".join(result.trace))
    print(table(result.counts))
    print(f"{world}, seed {seed} passed: {result.time_s:.1f} virtual seconds, digest {result.digest}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument("--world", choices=list(WORLDS), help="only this one")
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--seeds", type=int, default=DEFAULT_SEEDS, help="how many in all")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    arguments = parser.parse_args()
    worlds = [arguments.world] if arguments.world else list(WORLDS)
    if arguments.seed is not None:
        return max(replay(world, arguments.seed) for world in worlds)
    processes = os.cpu_count() or 1
    return max(
        summarize(world, run_all(world, seeds, processes), seeds)
        for world, seeds in shares(worlds, arguments.first, arguments.seeds).items()
    )


def shares(worlds: Sequence[str], first: int, count: int) -> dict[str, range]:
    """`count` seeds in all, as evenly as it goes, from `first` on in each world; none that gets no seed."""
    sizes = {world: (count + place) // len(worlds) for place, world in enumerate(reversed(worlds))}
    return {world: range(first, first + sizes[world]) for world in worlds if sizes[world]}


if __name__ == "__main__":
    sys.exit(main())

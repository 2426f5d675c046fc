"""How many seeds a simulated test runs.

SEEDS=n runs the seeds 0 to n - 1 in every such test (the default is what the suite has time for); SEED=s runs
that one alone, to replay a failure.
"""

from __future__ import annotations

import os


def seeds(default: int) -> range:
    one = os.environ.get("SEED")
    if one is not None:
        return range(int(one), int(one) + 1)
    return range(int(os.environ.get("SEEDS", default)))

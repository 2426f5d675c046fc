"""Runs a scenario script over one to five RaftNodes and writes down all that they do.

See `scripts` for what a script looks like.

The trace: `1 sends 2: ...` when a message leaves, `2 hears 1: ...` when it arrives, what a node writes,
becomes, commits and reads. An entry is `index/term`, with its data in quotes; `{1 2 (3)}` is a quorum with
voters 1 and 2 and learner 3, and `3b` is what came back with an emptied disk after `3`. Time is ticks that
the script spends; messages wait until it delivers or drops them; a write is done at once, unless the disk is
`slow`: then `persist` does it. The election timeout of node n is 10 + n ticks. `quietly` before a command
leaves only the outcome. See `_COMMANDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from streamkeep_coordinator.raft import RaftError
from tests.golden.raft_scenario import Options, Scenario
from tests.golden.scripts import traced


def run_script(script: str) -> str:
    """The script with the trace that it has now."""
    return traced(script, partial(_run, Scenario()))


def _run(scenario: Scenario, line: str) -> str:
    """What the command does, as lines."""
    quietly = line.startswith("quietly ")
    verb, *words = line.removeprefix("quietly ").split()
    options = dict(word.split("=", 1) for word in words if "=" in word)
    names = [word for word in words if "=" not in word]
    cluster = scenario.cluster
    cluster.lines = []
    try:
        _COMMANDS[verb](scenario, names, options)
    except RaftError as error:
        cluster.say(f"{type(error).__name__}: {error}")
    if quietly:
        cluster.lines = [] if verb == "limits" else cluster.overview()
    return "".join(f"{each}\n" for each in cluster.lines)


_COMMANDS: dict[str, Callable[[Scenario, list[str], Options], None]] = {
    "nodes": Scenario.nodes,
    "log": Scenario.log,
    "limits": Scenario.limit,
    "crash": Scenario.crash,
    "restart": Scenario.restart,
    "wipe": Scenario.wipe,
    "tick": Scenario.tick,
    "timeout": Scenario.timeout,
    "elect": Scenario.elect,
    "deliver": Scenario.deliver,
    "settle": Scenario.settle,
    "drop": Scenario.drop,
    "hold": Scenario.hold,
    "release": Scenario.release,
    "repeat": Scenario.repeat,
    "reverse": Scenario.reverse,
    "cut": Scenario.cut,
    "mend": Scenario.mend,
    "slow": Scenario.slow,
    "persist": Scenario.persist,
    "fast": Scenario.fast,
    "propose": Scenario.propose,
    "quorum": Scenario.quorum,
    "read": Scenario.read,
    "transfer": Scenario.transfer,
    "unreachable": Scenario.unreachable,
    "compact": Scenario.compact,
    "snapshot": Scenario.snapshot,
    "show": Scenario.show,
}

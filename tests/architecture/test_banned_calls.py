"""Calls that go past the seams or past our rules, each with what to do instead."""

from __future__ import annotations

import ast
import re

from tests.architecture.source import Module, called_names, dotted, imported_names, modules

BANNED = {
    r"time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|sleep)": "take a Clock in the constructor",
    r"datetime\.(datetime\.)?(now|utcnow|today)": "take a Clock in the constructor",
    r"random\.(?!Random$)\w+": "take a random.Random in the constructor",
    r"(secrets|uuid)\.\w+": "draw from the random.Random in the constructor",
    r"os\.urandom": "draw from the random.Random in the constructor",
    r"(io\.|os\.)?open": "use the Disk",
    r"os\.(fsync|fdatasync|sync|write|read|rename|replace|unlink|remove|mkdir|makedirs)": "use the Disk",
    r"os\.(listdir|scandir|truncate|stat|statvfs|walk)": "use the Disk",
    r"shutil\.\w+": "use the Disk",
    r"socket\.\w+": "use the Network",
    r"threading\.Thread": "use the Workers",
    r"(concurrent\.futures\.)?ThreadPoolExecutor": "use the Workers",
    r"asyncio\.to_thread": "use the Workers",
    r"\w+\.run_in_executor": "use the Workers",
    r"print": "log it, or write it to the console's output",
}
NEVER = {
    r"eval|exec|compile|__import__": "nothing of ours needs it",
    r"(pickle|marshal|shelve)\.\w+": "use protobuf",
    r"os\.(system|popen)": "start a process without a shell",
    r"os\.fork": "spawn: gRPC does not survive a fork",
}

# The edges, where the seams are made of the real thing.
EDGES = (
    "client/streamkeep_common/seams/real/",
    "client/streamkeep_common/server/",
    "client/streamkeep/testing/",
    "client/streamkeep/blocking/portal.py",
    "cli/streamctl/",
)
EDGE_FILES = re.compile(r"(broker|coordinator)/\w+/__main__\.py")
BANNED_MODULES = {"pickle", "marshal", "shelve", "dill"}


def test_nothing_goes_past_the_seams() -> None:
    found = [
        f"{module.name}:{line} calls {name}: {instead}"
        for module in modules()
        for line, name in called_names(module.tree)
        for pattern, instead in (NEVER if is_edge(module) else BANNED | NEVER).items()
        if re.fullmatch(pattern, name)
    ]
    assert found == []


def is_edge(module: Module) -> bool:
    return module.name.startswith(EDGES) or EDGE_FILES.fullmatch(module.name) is not None


def test_only_the_clock_sleeps() -> None:
    """asyncio.sleep(0) lets others run and takes no time."""
    found = [
        f"{module.name}:{call.lineno}"
        for module in modules()
        if not is_edge(module)
        for call in ast.walk(module.tree)
        if isinstance(call, ast.Call)
        and dotted(call.func) == "asyncio.sleep"
        and ast.unparse(call.args[0]) != "0"
    ]
    assert found == []


def test_nothing_is_unpickled() -> None:
    imported = [(module.name, name) for module in modules() for _, name in imported_names(module.tree)]
    assert [pair for pair in imported if pair[1].partition(".")[0] in BANNED_MODULES] == []


def test_nothing_is_left_for_later() -> None:
    unfinished = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert [module.name for module in modules() if unfinished.search(module.text)] == []

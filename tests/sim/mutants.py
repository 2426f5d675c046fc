"""`make mutants`: the simulations are shown code that is broken on purpose, and must see it.

Each mutant is one mistake that has been made in real systems, patched into the shipping classes of this
process and never into their source. It counts as caught if a checker names a broken promise; that the mutant
falls over by itself proves nothing about the checkers, so assertions in its way are taken out with it.

    python -m tests.sim.mutants                 every mutant, until a seed catches it
    python -m tests.sim.mutants NAME --from 7   one mutant, from a seed on
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from streamkeep_coordinator.raft import following, node, replication
from streamkeep_coordinator.raft.core import Core
from streamkeep_coordinator.raft.errors import RaftInvariantError
from streamkeep_coordinator.raft.leadership import Leadership
from streamkeep_coordinator.raft.majority import reached_by_majority
from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.identity import Identity
from streamkeep_coordinator.storage.storage import Storage
from streamkeep_proto.v1.raft_pb2 import AppendRequest, RaftMessage
from tests.property import test_raft_core
from tests.property.raft_chaos import judge
from tests.sim.disk_files import SimFile
from tests.sim.mutant import Mutant, StumbledError, look_with
from tests.sim.quorum.story import run_seed
from tests.sim.replication import mutants as replication_mutants

MAX_SEEDS = 400
"""A mutant that so many seeds do not see has survived."""


def in_the_simulated_quorum(seed: int) -> str:
    return look_with(run_seed, seed)


def in_the_chaos_of_the_core(seed: int) -> str:
    """The same, with the Raft core alone: its network brings whole snapshots late, and again."""
    try:
        test_raft_core.live(seed)
    except AssertionError as failure:
        frames = traceback.extract_tb(failure.__traceback__)
        if Path(frames[-1].filename).parent == Path(judge.__file__).parent:
            return str(failure)
        raise StumbledError(repr(failure)) from failure
    except RaftInvariantError as failure:
        raise StumbledError(repr(failure)) from failure
    return ""


@contextmanager
def vote_without_fsync() -> Iterator[None]:
    """A write of nothing but the hard state is left to the page cache."""
    write, sync = Storage.write, SimFile.sync
    lazy = [False]

    def lazy_write(self: Storage, **what: Any) -> None:
        lazy[0] = not what.get("entries") and not what.get("truncate_from")
        try:
            write(self, **what)
        finally:
            lazy[0] = False

    def lazy_sync(self: SimFile) -> None:
        if not lazy[0]:
            sync(self)

    with patch.object(Storage, "write", lazy_write), patch.object(SimFile, "sync", lazy_sync):
        yield


@contextmanager
def commit_older_terms_by_counting() -> Iterator[None]:
    """Figure 8: what a majority has is called committed, whatever its term."""

    def commit(core: Core, leadership: Leadership) -> None:
        durable = [replication._durable_index(core, leadership, voter) for voter in core.members.voters]
        index = reached_by_majority(durable)
        if index > core.log.committed_index and core.log.term_at(index) != core.term:
            core.log.commit_to(index)
        rightly(core, leadership)

    rightly = replication.commit
    with patch.object(replication, "commit", commit):
        yield


@contextmanager
def wiped_node_keeps_its_identity() -> Iterator[None]:
    """An emptied disk comes back as the directory that it was, and its votes count."""

    def make(self: DataDirectory) -> Identity:
        directory_id = hashlib.blake2b(b"%d" % self._coordinator_id, digest_size=16).digest()
        return self._write(Identity(self._coordinator_id, directory_id))

    with patch.object(DataDirectory, "_make", make):
        yield


@contextmanager
def snapshot_older_than_the_log() -> Iterator[None]:
    """Whatever snapshot arrives takes the place of the log. The shell lets no older one through in time, so
    only the core's own simulation shows it such.
    """

    def on_snapshot_received(core: Core, message: RaftMessage) -> None:
        core.follow(message)
        core.log.committed_index = min(core.log.committed_index, message.snapshot_received.index - 1)
        core.log.restore(message.snapshot_received)
        core.refresh_members()
        following._promise_agreement(core, message, core.log.committed_index)

    with patch.dict(node._RULES, {"snapshot_received": on_snapshot_received}):
        yield


@contextmanager
def truncate_below_the_commit_index() -> Iterator[None]:
    """An append cuts off whatever follows its previous entry, as if that had to be in conflict."""
    rightly = following._append

    def append(core: Core, request: AppendRequest) -> None:
        if core.log.base_index < request.previous_index < core.log.last_index:
            committed_index, core.log.committed_index = core.log.committed_index, core.log.base_index
            core.log.truncate(request.previous_index + 1)
            core.log.committed_index = min(committed_index, core.log.last_index)
        rightly(core, request)

    with patch.object(following, "_append", append):
        yield


MUTANTS = (
    Mutant(
        "vote-without-fsync",
        "the fsync before a vote is skipped",
        vote_without_fsync,
        in_the_simulated_quorum,
    ),
    Mutant(
        "commit-older-term",
        "an entry of an older term is committed by counting",
        commit_older_terms_by_counting,
        in_the_simulated_quorum,
    ),
    Mutant(
        "wiped-node-votes",
        "an emptied node votes under its old identity",
        wiped_node_keeps_its_identity,
        in_the_simulated_quorum,
    ),
    Mutant(
        "older-snapshot",
        "a snapshot older than the log is applied",
        snapshot_older_than_the_log,
        in_the_chaos_of_the_core,
    ),
    Mutant(
        "truncate-committed",
        "a follower truncates below its commit index",
        truncate_below_the_commit_index,
        in_the_simulated_quorum,
    ),
    *replication_mutants.MUTANTS,
)


def hunt(mutant: Mutant, first: int, count: int) -> bool:
    """Run seeds until one sees the mutant; say which, what was broken, and how long it took."""
    began = time.monotonic()  # noqa: TID251 - how long people wait
    stumbles: list[str] = []
    with mutant.break_it():
        for seed in range(first, first + count):
            try:
                broken = mutant.look(seed)
            except StumbledError as stumble:
                stumbles.append(f"seed {seed}: {stumble}")
                continue
            if broken:
                elapsed_s = time.monotonic() - began  # noqa: TID251
                print(f"{mutant.name}: caught by seed {seed} in {elapsed_s:.1f} s ({mutant.mistake})")
                print(f"    {mutant.look.__name__}: {broken}", flush=True)
                return True
    print(f"{mutant.name}: SURVIVED {count} seeds from {first} ({mutant.mistake})")
    for stumble in stumbles[:5]:
        print(f"    it only fell over: {stumble}")
    return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("name", nargs="?", choices=[mutant.name for mutant in MUTANTS])
    parser.add_argument("--seeds", type=int, default=MAX_SEEDS)
    parser.add_argument("--from", type=int, default=0, dest="first")
    arguments = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if arguments.name in (None, mutant.name)]
    caught = [hunt(mutant, arguments.first, arguments.seeds) for mutant in chosen]
    print(f"{sum(caught)} of {len(chosen)} mutants caught")
    return 0 if all(caught) else 1


if __name__ == "__main__":
    sys.exit(main())

"""A coordinator's directory under crashes and decay: it has all that was durable, or it says that it has not.

Each seed is a life of the storage alone: entries, votes, truncations, snapshots taken and received, segments
dropped, with the power cut or the process killed at any flush, also within a recovery or a quarantine. Then the
directory that came out of it decays: bits are flipped, files cut at any byte, removed, or all emptied.

    SEEDS=1000 pytest tests/sim/test_coordinator_storage_crashes.py        SEED=17 pytest ... (one seed)
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from streamkeep_coordinator.storage import marks, wal
from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.hard_state import NOTHING_PROMISED, HardState
from streamkeep_coordinator.storage.snapshots import SnapshotId
from streamkeep_coordinator.storage.storage import Recovered, Storage
from streamkeep_proto.v1.raft_pb2 import RaftEntry
from tests.sim.seeds import seeds
from tests.unit.coordinator.storage.directories import (
    DIRECTORY,
    chunk,
    entry,
    new_disk,
    receive_snapshot,
    write_snapshot,
)

SEEDS = seeds(100)
GROUPS = 5
LIVES = 4
STEPS = 14
DECAYS = 6


class CrashError(Exception):
    """The machine or the process dies here."""


@dataclass
class State:
    """What a directory holds: a snapshot, the entries after `base`, and what was promised."""

    base: tuple[int, int] = (0, 0)
    snapshot: SnapshotId | None = None
    entries: list[RaftEntry] = field(default_factory=list)
    hard_state: HardState = NOTHING_PROMISED

    @property
    def last(self) -> tuple[int, int]:
        return (self.entries[-1].index, self.entries[-1].term) if self.entries else self.base

    def after(self, **changes: object) -> State:
        state = State(self.base, self.snapshot, list(self.entries), self.hard_state)
        for name, value in changes.items():
            setattr(state, name, value)
        return state

    def visible(self) -> list[RaftEntry]:
        """The entries that recovery gives."""
        contained = self.snapshot.index if self.snapshot is not None else 0
        return [each for each in self.entries if each.index > contained]


class Life:
    """One seed: what was durable for sure (`safe`), and where a step under way may have come (`possible`)."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.disk = new_disk(seed)
        self.safe = State()
        self.possible: list[State] = []
        self.seen: Counter[str] = Counter()
        self.directory_id = b""
        self.directory: DataDirectory
        self.storage: Storage
        self.start()
        self.directory.format("c" * 22, 1)
        self.accept(self.storage_state())

    # --- running ---

    def live(self) -> None:
        for _ in range(LIVES):
            self.crash_somewhere(self.run)
            self.crash_somewhere(self.start)
            self.start()

    def run(self) -> None:
        for _ in range(self.rng.randint(1, STEPS)):
            self.rng.choice(
                [self.write] * 5 + [self.vote, self.truncate, self.snapshot, self.install, self.drop]
            )()

    def crash_somewhere(self, work: Callable[[], None]) -> None:
        """Do it and die, often in the middle of it."""
        left = self.rng.choice([self.rng.randint(0, 40), self.rng.randint(0, 8)])
        by_power = self.rng.random() < 0.6

        def before_sync(path: Path) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise CrashError

        self.disk.before_sync = before_sync
        try:
            work()
        except CrashError:
            self.seen["crash within " + work.__name__] += 1
        self.disk.before_sync = lambda path: None
        if by_power:
            self.disk.power_cut()
        else:
            self.disk.kill()

    def start(self) -> None:
        self.disk.kill()
        self.directory = DataDirectory(self.disk, DIRECTORY, self.rng)
        identity = self.directory.open(1)
        assert self.directory_id in (b"", identity.directory_id)
        self.directory_id = identity.directory_id
        self.accept(self.storage_state())

    def storage_state(self) -> State:
        self.storage = Storage(self.disk, DIRECTORY)
        return state_of(self.storage.recover())

    def accept(self, found: State) -> None:
        """What was recovered is what was safe, or what the interrupted step was about to make of it."""
        for state in [self.safe, *self.possible]:
            if is_same(found, state):
                self.safe, self.possible = state, []
                return
        raise AssertionError(
            f"found {brief(found)}, expected one of {[brief(x) for x in (self.safe, *self.possible)]}"
        )

    # --- steps ---

    def step(self, name: str, stages: list[State], work: Callable[[], None]) -> None:
        """`stages` are the states that a crash may leave, the last one the outcome."""
        self.possible = stages
        work()
        self.safe, self.possible = stages[-1], []
        self.seen[name] += 1

    def write(self, truncate_from: int = 0) -> None:
        before = self.safe
        if truncate_from:
            kept = [each for each in before.entries if each.index < truncate_from]
            before = before.after(entries=kept)
        (index, _), hard_state = before.last, self.safe.hard_state
        term = max(hard_state.term, self.safe.last[1], 1) + (truncate_from > 0 or self.rng.random() < 0.2)
        group = [
            entry(index + 1 + n, term, name="x" * self.rng.randint(0, 60))
            for n in range(self.rng.randint(1, 5))
        ]
        promised = HardState(
            term, self.rng.randint(0, 3), self.rng.randint(hard_state.committed_index, index)
        )
        if promised.term == hard_state.term and hard_state.vote:
            promised = promised._replace(vote=hard_state.vote)
        partly = [before.after(entries=[*before.entries, *group[:n]]) for n in range(len(group) + 1)]
        done = partly[-1].after(hard_state=promised)
        self.step(
            "truncated" if truncate_from else "written",
            [*partly, done],
            lambda: self.storage.write(hard_state=promised, truncate_from=truncate_from, entries=group),
        )

    def vote(self) -> None:
        promised = HardState(
            self.safe.hard_state.term + 1, self.rng.randint(0, 3), self.safe.hard_state.committed_index
        )
        done = self.safe.after(hard_state=promised)
        self.step("voted", [done], lambda: self.storage.write(hard_state=promised))

    def truncate(self) -> None:
        """Anything that is not committed may be taken back."""
        first = max(self.safe.hard_state.committed_index, self.safe.base[0]) + 1
        if first <= self.safe.last[0]:
            self.write(truncate_from=self.rng.randint(first, self.safe.last[0]))

    def snapshot(self) -> None:
        """Of what is committed."""
        committed = self.safe.hard_state.committed_index
        taken = next((each for each in self.safe.entries if each.index == committed), None)
        if taken is None or (self.safe.snapshot is not None and self.safe.snapshot.index >= committed):
            return
        snapshot_id = SnapshotId(taken.index, taken.term)
        done = self.safe.after(snapshot=snapshot_id)
        self.step("snapshot", [done], lambda: None if write_snapshot(self.disk, snapshot_id) else None)

    def install(self) -> None:
        """From a leader whose log is another one from somewhere behind the committed entry on."""
        index = max(self.safe.hard_state.committed_index, self.safe.base[0]) + self.rng.randint(1, 12)
        snapshot_id = SnapshotId(index, self.safe.hard_state.term + 1)
        received = receive_snapshot(self.disk, snapshot_id)
        if self.rng.random() < 0.2:
            received.discard()
            return
        base = (snapshot_id.index, snapshot_id.term)
        done = self.safe.after(base=base, snapshot=snapshot_id, entries=[])
        self.step("installed", [done], lambda: self.storage.install(received))

    def drop(self) -> None:
        if self.safe.snapshot is not None:
            self.storage.drop_before(self.safe.snapshot.index - self.rng.randint(0, 5))
            self.seen["dropped"] += 1


def state_of(found: Recovered) -> State:
    """Chunks are read, too."""
    if found.snapshot is not None:
        assert list(found.snapshot_chunks) == [chunk(number, found.snapshot) for number in range(2)]
    base = (found.snapshot.index, found.snapshot.term) if found.snapshot is not None else (0, 0)
    return State(base, found.snapshot, found.entries, found.hard_state)


def is_same(found: State, state: State) -> bool:
    """The term of a hard state that was never written is that of the last entry."""
    expected = state.hard_state
    if state.last[1] > expected.term:
        expected = HardState(state.last[1], 0, expected.committed_index)
    return (
        found.snapshot == state.snapshot and found.entries == state.visible() and found.hard_state == expected
    )


def brief(state: State) -> str:
    return f"{state.snapshot} {[(each.index, each.term) for each in state.visible()]} {state.hard_state}"


def lived(seed: int) -> Life:
    life = Life(seed)
    life.live()
    return life


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "SEGMENT_BYTES", 700)
    monkeypatch.setattr(wal, "MAX_FLUSH_BYTES", 300)
    monkeypatch.setattr(marks, "MAX_MARKS_BYTES", 1_000)


@pytest.mark.parametrize("group", range(GROUPS))
def test_what_was_durable_is_there_after_any_crash(group: int) -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS[group::GROUPS]:
        try:
            seen += lived(seed).seen
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    if len(SEEDS) > 1:
        steps = {"written", "truncated", "voted", "snapshot", "installed", "dropped"}
        assert steps | {"crash within run", "crash within start"} <= set(seen)

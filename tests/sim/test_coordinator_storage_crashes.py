"""A coordinator's directory under crashes and decay: it has all that was durable, or it says that it has not.

Each seed is a life of the storage alone: entries, votes, truncations, snapshots taken and received, segments
dropped; power cuts, kills and failed flushes at any moment, also within a recovery. Then the directory that
came out of it decays: bits are flipped, files cut at any byte, overwritten, removed, or all of it emptied.

    SEEDS=1000 pytest tests/sim/test_coordinator_storage_crashes.py        SEED=17 pytest ... (one seed)
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from streamkeep_coordinator.storage import marks, wal
from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.errors import CorruptFileError, DataDirectoryError
from streamkeep_coordinator.storage.hard_state import NOTHING_PROMISED, HardState
from streamkeep_coordinator.storage.snapshots import SnapshotId
from streamkeep_coordinator.storage.storage import Recovered, Storage
from streamkeep_proto.v1.raft_pb2 import RaftEntry
from tests.sim.disk import SimDisk
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
        """Do it and die, often in the middle of it, of a power cut, a kill or a flush that fails."""
        left = self.rng.choice([self.rng.randint(0, 40), self.rng.randint(0, 8)])
        death = self.rng.choice(["power cut", "kill", "failed flush"])

        def before_sync(path: Path) -> None:
            nonlocal left
            left -= 1
            if left < 0 and death == "failed flush":
                self.disk.fail("sync")
            elif left < 0:
                raise CrashError

        self.disk.before_sync = before_sync
        try:
            work()
        except (CrashError, OSError, DataDirectoryError) as error:
            if isinstance(error, CorruptFileError):
                raise
            self.seen[f"{death} within {work.__name__}"] += 1
        self.disk.before_sync = lambda path: None
        self.disk.heal()
        if death == "power cut":
            self.disk.power_cut()

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
        self.step("snapshot", [done], lambda: self.take(snapshot_id))

    def take(self, snapshot_id: SnapshotId) -> None:
        write_snapshot(self.disk, snapshot_id)

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


def without_snapshot(found: State, state: State) -> State:
    """A snapshot may be gone as long as the log goes back to the beginning."""
    return state.after(snapshot=None) if found.snapshot is None and state.base == (0, 0) else state


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
        deaths = {
            f"{how} within {what}"
            for how in ("power cut", "kill", "failed flush")
            for what in ("run", "start")
        }
        assert steps | deaths <= set(seen)


# --- decay ---


@dataclass(frozen=True)
class Decay:
    """One thing that happens to a directory while nobody looks."""

    kind: str
    path: Path
    byte: int = 0
    length: int = 0

    def happen(self, disk: SimDisk) -> None:
        if self.kind == "emptied":
            for name in disk.list_directory(DIRECTORY):
                disk.remove_file(DIRECTORY / name)
        elif self.kind == "removed":
            disk.remove_file(self.path)
        elif self.kind == "flipped":
            disk.flip_bit(self.path, self.byte, self.length % 8)
        else:
            content = disk.read_file(self.path)
            behind = content[self.byte + self.length :]
            filling = {"cut": b"", "zeros": bytes(self.length) + behind, "garbage": b"\xa5" * self.length}
            put(disk, self.path, content[: self.byte] + filling[self.kind])


def put(disk: SimDisk, path: Path, content: bytes) -> None:
    disk.remove_file(path)
    file = disk.open(path, create=True)
    file.append([content])
    file.close()


def decays(rng: random.Random, files: dict[str, bytes]) -> Iterator[Decay]:
    names = [name for name in sorted(files) if files[name]]
    for kind in ["flipped"] * 4 + ["cut"] * 4 + ["removed", "zeros", "garbage"]:
        name = rng.choice(names)
        size = len(files[name])
        byte = size if kind == "garbage" else rng.randrange(size)
        yield Decay(kind, DIRECTORY / name, byte, rng.randint(1, 200))
    yield Decay("emptied", DIRECTORY)


def settled(seed: int) -> Life:
    """After its crashes it worked a little more and was stopped with all done."""
    life = lived(seed)
    for _ in range(life.rng.randint(0, 6)):
        life.rng.choice([life.write, life.vote, life.truncate, life.snapshot, life.install])()
    life.disk.kill()
    return life


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_directory_that_decayed_has_everything_or_says_what_is_wrong(group: int) -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS[group::GROUPS]:
        life = settled(seed)
        names = [name for name in life.disk.list_directory(DIRECTORY) if name != "lock"]
        files = {name: life.disk.read_file(DIRECTORY / name) for name in names}
        for decay in decays(life.rng, files):
            disk = new_disk(seed)
            for name, content in files.items():
                put(disk, DIRECTORY / name, content)
            decay.happen(disk)
            seen[f"{decay.kind}: {judge(disk, life, f'seed {seed}: {decay}')}"] += 1
    if len(SEEDS) > 1:
        expected = {
            f"{kind}: {outcome}" for kind in ("flipped", "cut") for outcome in ("nothing lost", "said")
        }
        assert expected | {"removed: said", "zeros: said"} <= set(seen)
        assert seen["emptied: somebody else"] == len(SEEDS[group::GROUPS])


def judge(disk: SimDisk, life: Life, context: str) -> str:
    """What the next start makes of the directory."""
    directory = DataDirectory(disk, DIRECTORY, life.rng)
    try:
        identity = directory.open(1)
        found = state_of(Storage(disk, DIRECTORY).recover()) if identity.cluster_id else None
    except CorruptFileError as error:
        assert error.path.is_relative_to(DIRECTORY), context
        assert error.byte >= 0, context
        assert directory.quarantine(str(error)).directory_id != life.directory_id, context
        assert not Storage(disk, DIRECTORY).recover().entries, context
        return "said"
    if found is None:
        assert identity.directory_id != life.directory_id, context
        return "somebody else"
    assert is_same(found, without_snapshot(found, life.safe)), (
        f"{context}: {brief(found)} instead of {brief(life.safe)}"
    )
    return "nothing lost"

"""A partition's log on a disk that loses power: what was acknowledged is there, once, unchanged, in order.

Each seed is a life of crashes: an idempotent producer appends, group commits run and are cut off halfway,
segments roll and are retired, checkpoints lag behind, the power goes or the process is killed, also in the
middle of a recovery. The producer sends again what it has no answer for.

    SEEDS=1000 pytest tests/sim/test_log_crashes.py        SEED=17 pytest ... (one seed)
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from streamkeep_broker.log.checkpoints import BEGINNING
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.producer_states import Duplicate
from streamkeep_common.errors import DuplicateSequenceError
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.sim.seeds import seeds
from tests.unit.broker.log.logs import (
    NOW_MS,
    append,
    make_batch,
    make_disk,
    open_log,
    read_records,
    segment_files,
)

SEEDS = seeds(150)
GROUPS = 5
LIVES = 6
STEPS = 40


class CrashError(Exception):
    """The machine or the process dies here."""


class Life:
    """One seed's disk, producer and what it was promised."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.disk = make_disk(seed)
        self.checkpoint = BEGINNING
        self.log: PartitionLog
        self.sent: list[list[bytes]] = []
        """All batches of the producer, in order; a record's offset is its place among all records."""
        self.next_batch = 0
        """The batch that is sent next; goes back to the first without an answer after a crash."""
        self.acknowledged = 0
        """All records below this offset were answered."""
        self.log_start = 0
        self.epochs: dict[int, int] = {}
        """The leader epoch under which each record was appended last, by its offset."""
        self.epoch = 0
        self.seen: Counter[str] = Counter()

    async def live(self) -> None:
        for _ in range(LIVES):
            self.start()
            await self.check()
            try:
                for _ in range(self.rng.randint(1, STEPS)):
                    self.step()
            except CrashError:
                self.seen["crash within a commit"] += 1
            self.crash()
        self.start()
        while self.next_batch < len(self.sent):
            self.produce()
        while self.log.needs_flush or self.acknowledged < self.log.log_end_offset:
            self.commit(whole=True)
        assert self.acknowledged == len(self.values())
        await self.check()

    def start(self) -> None:
        while True:
            self.arm(0.2)
            try:
                self.log = open_log(self.disk, checkpoint=self.checkpoint, commit=False, segment_bytes=1500)
            except CrashError:
                self.seen["crash within a recovery"] += 1
                self.crash()
                continue
            self.disarm()
            break
        recovered = self.log.log_end_offset
        self.seen["several segments found"] += len(self.log.segments) > 1
        self.seen["unacknowledged records kept"] += recovered > self.acknowledged
        self.next_batch = self.batch_at(self.acknowledged)
        self.epoch += 1
        self.log.leader_epochs.assign(self.epoch, self.log.log_end_offset)

    async def check(self) -> None:
        log = self.log
        assert not log.defects
        assert self.log_start <= max(log.log_start_offset, self.log_start)
        assert self.acknowledged <= log.log_end_offset
        expected = list(enumerate(self.values()))[log.log_start_offset : log.log_end_offset]
        assert await read_records(log, max_bytes=self.rng.choice([1, 500, 1 << 20])) == expected
        for offset in range(log.log_start_offset, log.log_end_offset):
            assert log.leader_epochs.at(offset) == self.epochs[offset]
        for path in segment_files(self.disk):
            LogSegment.FromString(self.disk.read_file(path))

    def step(self) -> None:
        action = self.rng.choices(
            [self.produce, self.commit, self.write_checkpoint, self.retire, self.run_out_of_room],
            [20, 6, 1, 1, 1],
        )[0]
        action()

    def produce(self) -> None:
        if self.next_batch == len(self.sent):
            first = len(self.values())
            self.sent.append(
                [b"record %d" % (first + n) * self.rng.randint(1, 9) for n in range(self.rng.randint(1, 4))]
            )
        values = self.sent[self.next_batch]
        sequence = sum(map(len, self.sent[: self.next_batch]))
        try:
            known = self.log.producers.check(1, 0, sequence, len(values))
        except DuplicateSequenceError:
            self.seen["duplicate from before the last five"] += 1
        else:
            if known is None:
                append(self.log, make_batch(values, base_sequence=sequence), leader_epoch=self.epoch)
                self.epochs.update(dict.fromkeys(range(sequence, sequence + len(values)), self.epoch))
            else:
                assert known == Duplicate(sequence, sequence + len(values), NOW_MS)
                self.seen["duplicate"] += 1
        self.next_batch += 1

    def commit(self, *, whole: bool = False) -> None:
        target = self.log.flush_target()
        for _ in range(0 if whole else self.rng.randint(0, 3)):
            self.produce()
        if not whole:
            self.arm(0.05)
        syncs = [file.sync for file in target.files]
        syncs += [lambda path=path: self.disk.sync_directory(path) for path in target.directories]
        self.rng.shuffle(syncs)
        for sync in syncs:
            sync()
        self.disarm()
        self.log.flushed(target.end_offset)
        self.log.advance_high_watermark(self.log.log_end_offset)
        self.acknowledged = self.log.high_watermark
        self.seen["commit"] += 1

    def write_checkpoint(self) -> None:
        log = self.log
        self.checkpoint = self.checkpoint._replace(
            log_start_offset=log.log_start_offset,
            recovery_point=log.flushed_end_offset,
            high_watermark=log.high_watermark,
        )

    def retire(self) -> None:
        log = self.log
        log.delete_records(self.rng.randint(log.log_start_offset, log.high_watermark))
        removed = log.take_unneeded_segments(NOW_MS)
        if log.needs_flush:
            self.commit()
        self.write_checkpoint()
        self.log_start = log.log_start_offset
        for segment in removed:
            self.seen["segment retired"] += 1
            for file in segment.files:
                file.close()
            for path in segment.paths:
                self.disk.remove_file(path)

    def run_out_of_room(self) -> None:
        self.disk.set_capacity(self.disk.used() + self.rng.randint(0, 150))
        try:
            self.produce()
        except OSError:
            self.seen["full disk"] += 1
        self.disk.set_capacity(1 << 30)

    def crash(self) -> None:
        self.disarm()
        if self.rng.random() < 0.7:
            self.disk.power_cut()
            self.seen["power cut"] += 1
        else:
            self.disk.kill()
            self.seen["kill"] += 1

    def arm(self, probability: float) -> None:
        """Each sync may be the last thing that is tried."""

        def before_sync(_path: Path) -> None:
            if self.rng.random() < probability:
                raise CrashError

        self.disk.before_sync = before_sync

    def disarm(self) -> None:
        self.disk.before_sync = lambda path: None

    def values(self) -> list[bytes]:
        return [value for batch in self.sent for value in batch]

    def batch_at(self, offset: int) -> int:
        count = 0
        for number, batch in enumerate(self.sent):
            if count >= offset:
                return number
            count += len(batch)
        return len(self.sent)


@pytest.mark.parametrize("group", range(GROUPS))
async def test_acknowledged_records_survive_every_crash_once_unchanged_and_in_order(group: int) -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS[group::GROUPS]:
        life = Life(seed)
        try:
            await life.live()
        except Exception as error:
            raise AssertionError(f"seed {seed} (SEED={seed} repeats it)") from error
        seen += life.seen
    if len(SEEDS) >= 20 * GROUPS:
        print(dict(seen))
        wanted = {"power cut", "kill", "commit", "duplicate", "full disk", "segment retired"}
        wanted |= {
            "several segments found",
            "crash within a commit",
            "crash within a recovery",
            "unacknowledged records kept",
        }
        assert wanted <= seen.keys(), "something never happened, so nothing was shown about it"

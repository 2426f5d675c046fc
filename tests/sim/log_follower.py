"""A follower's log on a machine that crashes: pushes, cuts, new beginnings, quarantines.

Beside the log stands a list of the frames that it was given. After every crash the log must hold a prefix of
them, byte for byte, with the epochs and producers that those say; one that was being changed may also be what
it was to become. Each change is what a new leader asks for, with frames of its own epoch or older ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, NamedTuple

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.producer_states import ProducerStates
from streamkeep_common.records import encode_batch
from streamkeep_common.records.codecs import Codec
from streamkeep_common.records.frame import LAYOUT_VERSION, batch_to_frame, unpack_header
from streamkeep_common.settings import TopicSettings
from tests.sim.simulation import Simulation
from tests.unit.broker.log_manager.host import TOPIC_ID, Host, create, read_all

LIVES = 6
SETTINGS = replace(TopicSettings.of({}), segment_bytes=2000, index_interval_bytes=300, retention_ms=-1)
NOW_MS = 1_700_000_000_000


class Content(NamedTuple):
    """What a log may hold: whole frames from an offset on, at least those below another."""

    start: int
    frames: tuple[bytes, ...]
    least_end: int


class Follower:
    """One seed's log and what it may hold."""

    def __init__(self, simulation: Simulation) -> None:
        self.rng = simulation.rng("test")
        self.host = Host(simulation)
        self.start = 0
        self.frames: list[bytes] = []
        self.flushed_end = 0
        self.epoch = 1
        self.changing: Content | None = None
        """What the log will be when the change under way is done."""
        self.sequences: Counter[int] = Counter()
        self.seen: Counter[str] = Counter()

    @property
    def end(self) -> int:
        return unpack_header(self.frames[-1]).next_offset if self.frames else self.start

    async def begin_life(self) -> tuple[LogManager, PartitionLog]:
        """A new life, in which the log is what it may be."""
        manager = await self.host.start(checkpoint_ms=100, retention_check_ms=500, max_open_files=16)
        log = manager.get(TOPIC_ID, 0)
        if log is None:
            assert not self.flushed_end or self.changing is not None
            log = create(manager)
        log.settings = SETTINGS
        await self.check(log)
        return manager, log

    # --- what a follower does ---

    async def follow(self, manager: LogManager, log: PartitionLog) -> None:
        log.on_progress = lambda: self.flushed(log)
        while True:
            actions = [
                (self.push, 12),
                (self.truncate, 2),
                (self.begin_anew, 0.5),
                (self.quarantine, 0.3),
                (self.lead, 0.5),
                (self.checkpoint, 1),
                (self.pause, 4),
            ]
            action = self.rng.choices([do for do, _ in actions], [weight for _, weight in actions])[0]
            await action(manager, log)

    async def push(self, manager: LogManager, log: PartitionLog) -> None:
        end, epoch = self.end, max(log.last_epoch, 1)
        pushed = []
        for _ in range(self.rng.randint(1, 6)):
            epoch = self.rng.choice((epoch, epoch, self.rng.randint(epoch, self.epoch)))
            pushed.append(self.frame(end, epoch))
            end = unpack_header(pushed[-1]).next_offset
        self.frames += pushed  # a crash may come in the middle of it
        manager.append_frames(
            log, b"".join(pushed), previous_end_offset=log.log_end_offset, leader_epoch=self.epoch
        )
        manager.request_flush(log)
        self.seen["push"] += 1

    async def truncate(self, manager: LogManager, log: PartitionLog, offset: int = -1) -> None:
        offset = self.rng.randint(self.start, self.end) if offset < 0 else offset
        kept = [frame for frame in self.frames if unpack_header(frame).next_offset <= offset]
        await self.change(Content(self.start, tuple(kept), 0), manager.truncate(log, offset))
        self.seen["truncate"] += 1

    async def begin_anew(self, manager: LogManager, log: PartitionLog, offset: int = -1) -> None:
        offset = (
            self.rng.choice((0, self.start, self.rng.randint(0, self.end + 20))) if offset < 0 else offset
        )
        await self.change(Content(offset, (), 0), manager.begin_anew(log, offset))
        self.seen["begin anew"] += 1

    async def quarantine(self, manager: LogManager, log: PartitionLog) -> None:
        await self.change(Content(0, (), 0), manager.quarantine(log))
        self.seen["quarantine"] += 1

    async def lead(self, manager: LogManager, log: PartitionLog) -> None:
        """For an epoch in which nobody writes."""
        self.epoch += 1
        log.leader_epochs.assign(self.epoch, log.log_end_offset)
        manager.request_flush(log)
        self.epoch += 1
        self.seen["lead"] += 1

    async def checkpoint(self, manager: LogManager, log: PartitionLog) -> None:
        await manager.checkpoint()

    async def pause(self, manager: LogManager, log: PartitionLog) -> None:
        await asyncio.sleep(self.rng.choice((0, 0.0001, 0.002)))

    async def change(self, after: Content, change: Coroutine[Any, Any, None]) -> None:
        self.changing = after
        await change
        self.start, self.frames = after.start, list(after.frames)
        self.flushed_end = min(self.flushed_end, self.end)
        self.changing = None
        self.epoch += 1

    def flushed(self, log: PartitionLog) -> None:
        if self.changing is None:
            self.flushed_end = log.flushed_end_offset
            log.advance_high_watermark(self.rng.randint(0, log.flushed_end_offset))

    def frame(self, offset: int, epoch: int) -> bytes:
        producer_id = self.rng.randint(1, 3)
        values = [self.rng.randbytes(self.rng.choice((1, 50, 500))) for _ in range(self.rng.randint(1, 3))]
        batch = encode_batch(
            values=values,
            timestamps_ms=NOW_MS,
            codec=Codec.NONE,
            producer_id=producer_id,
            producer_epoch=0,
            base_sequence=self.sequences[producer_id],
        )
        self.sequences[producer_id] += len(values)
        batch.base_offset, batch.leader_epoch, batch.leader_flags = offset, epoch, LAYOUT_VERSION
        batch.append_time_ms = NOW_MS
        return batch_to_frame(batch)

    # --- what must be left of it ---

    async def check(self, log: PartitionLog) -> None:
        assert not log.defects
        before = Content(self.start, tuple(self.frames), self.flushed_end)
        allowed = [before] if self.changing is None else self.between(before, self.changing)
        data = await read_all(log)
        fitting = [content for content in allowed if _fits(log, data, content)]
        assert fitting, f"{log!r} is none of {[(c.start, len(c.frames), c.least_end) for c in allowed]}"
        self.start = log.log_start_offset
        self.frames = [f for f in fitting[0].frames if unpack_header(f).next_offset <= log.log_end_offset]
        self.seen["lost what was not flushed"] += len(self.frames) < len(before.frames)
        self.flushed_end = log.flushed_end_offset
        self.changing = None
        self.epoch += 1
        self.check_states(log)

    def between(self, before: Content, after: Content) -> list[Content]:
        """A cut may have got anywhere; everything else has happened or has not."""
        if after.start == before.start and after.frames:
            end = unpack_header(after.frames[-1]).next_offset
            return [before._replace(least_end=min(end, before.least_end))]
        if after.start == before.start:
            return [before._replace(least_end=before.start)]
        return [before, after]

    def check_states(self, log: PartitionLog) -> None:
        producers = ProducerStates()
        for frame in self.frames:
            header = unpack_header(frame)
            producers.take_in(header)
            assert log.leader_epochs.at(header.base_offset) == header.leader_epoch
        assert log.last_epoch == (unpack_header(self.frames[-1]).leader_epoch if self.frames else 0)
        found = {key: (state.epoch, state.batches) for key, state in log.producers.by_id.items()}
        assert found == {key: (state.epoch, state.batches) for key, state in producers.by_id.items()}


def _fits(log: PartitionLog, data: bytes, content: Content) -> bool:
    frames = [f for f in content.frames if unpack_header(f).next_offset <= log.log_end_offset]
    end = unpack_header(frames[-1]).next_offset if frames else content.start
    return (
        log.log_start_offset == content.start
        and log.log_end_offset == end >= content.least_end
        and data == b"".join(frames)
    )

"""A partition log beside the simplest log there is, a list: after any commands they must agree."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamkeep_broker.log.checkpoints import BEGINNING
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.read import ReadCursor
from streamkeep_common.records import decode_batch
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.unit.broker.log.logs import (
    NOW_MS,
    append,
    make_batch,
    make_disk,
    open_log,
    publish,
    stop,
)

RETENTION_MS = 50


class LogBesideList(RuleBasedStateMachine):
    """Records are (value, timestamp), at their offsets; the first `start` of them are gone."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.disk = make_disk()
        self.log: PartitionLog = self.open(clean=False)
        self.records: list[tuple[bytes, int]] = []
        self.readable = 0
        self.start = 0
        self.cursor = ReadCursor()
        self.cursor_offset = 0

    def open(self, *, clean: bool) -> PartitionLog:
        return open_log(
            self.disk,
            checkpoint=getattr(self, "checkpoint", BEGINNING),
            clean=clean,
            segment_bytes=900,
            index_interval_bytes=200,
            retention_ms=RETENTION_MS,
            segment_ms=200,
        )

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @rule(
        sizes=st.lists(st.integers(0, 120), min_size=1, max_size=5),
        times=st.lists(st.integers(0, 400), min_size=5, max_size=5),
    )
    def append(self, sizes: list[int], times: list[int]) -> None:
        first = len(self.records)
        values = [b"%d " % (first + number) + bytes(size) for number, size in enumerate(sizes)]
        timestamps = [NOW_MS + time for time in times[: len(values)]]
        appended = append(
            self.log, make_batch(values, timestamps_ms=timestamps, base_sequence=first), now_ms=NOW_MS
        )
        assert appended == (first, first + len(values), NOW_MS)
        self.records += zip(values, timestamps, strict=True)

    @rule()
    def commit(self) -> None:
        publish(self.disk, self.log)
        self.readable = len(self.records)

    @rule(data=st.data(), max_bytes=st.integers(1, 2000))
    def read(self, data: st.DataObject, max_bytes: int) -> None:
        offset = data.draw(st.integers(self.start, len(self.records)))
        found, next_offset = self.run(
            self.log.read(offset, max_bytes=max_bytes, end_offset=len(self.records))
        )
        self.check_slice(found, offset, next_offset)

    @rule(max_bytes=st.integers(1, 2000))
    def read_on(self, max_bytes: int) -> None:
        offset = self.cursor_offset = max(self.cursor_offset, self.start)
        found, self.cursor_offset = self.run(
            self.log.read(offset, max_bytes=max_bytes, end_offset=self.readable, cursor=self.cursor)
        )
        assert self.cursor_offset <= max(self.readable, offset)
        self.check_slice(found, offset, self.cursor_offset, expected_any=offset < self.readable)

    def check_slice(
        self, found: bytes, offset: int, next_offset: int, *, expected_any: bool | None = None
    ) -> None:
        batches = LogSegment.FromString(found).batches
        if expected_any is None:
            expected_any = offset < len(self.records)
        assert bool(batches) == expected_any
        columns = [decode_batch(batch) for batch in batches]
        values = [value for column in columns for value in column.values]
        if columns:
            first = columns[0].base_offset
            assert first <= offset < next_offset
            assert values == [value for value, _ in self.records[first:next_offset]]

    @rule(timestamp=st.integers(-1, 401))
    def find_timestamp(self, timestamp: int) -> None:
        wanted = NOW_MS + timestamp
        expected = next(
            (
                (offset, time, 1)
                for offset, (_, time) in enumerate(self.records[: self.readable])
                if offset >= self.start and time >= wanted
            ),
            None,
        )
        assert self.run(self.log.find_timestamp(wanted)) == expected

    @rule()
    def find_max_timestamp(self) -> None:
        visible = [(time, -offset) for offset, (_, time) in enumerate(self.records[: self.readable])]
        expected = max(visible[self.start :], default=None)
        found = self.run(self.log.find_max_timestamp())
        assert found == (expected and (-expected[1], expected[0], 1))

    @rule(data=st.data())
    def delete_records(self, data: st.DataObject) -> None:
        self.start = data.draw(st.integers(self.start, max(self.readable, self.start)))
        self.log.delete_records(self.start)

    @rule(later=st.integers(0, 600))
    def retain(self, later: int) -> None:
        before = list(self.log.segments)
        now = NOW_MS + later
        removed = self.log.take_unneeded_segments(now)
        for segment in before[: len(removed)]:
            times = [time for _, time in self.records[segment.base_offset : segment.next_offset]]
            assert segment.next_offset <= self.start or max(times) < now - RETENTION_MS
            assert segment.next_offset <= self.readable
        publish(self.disk, self.log)
        self.readable = len(self.records)
        for segment in removed:
            for file in segment.files:
                file.close()
            for path in segment.paths:
                self.disk.remove_file(path)
        self.start = max(self.start, self.log.segments[0].base_offset)

    @rule()
    def restart(self) -> None:
        self.checkpoint = stop(self.disk, self.log)
        self.log = self.open(clean=True)
        self.readable = self.log.high_watermark
        self.cursor = ReadCursor()

    @precondition(lambda self: self.log.flushed_end_offset == self.log.log_end_offset)
    @rule()
    def kill(self) -> None:
        log = self.log
        self.checkpoint = BEGINNING._replace(log_start_offset=log.log_start_offset)
        self.disk.kill()
        self.log = self.open(clean=False)
        self.readable = self.log.high_watermark
        self.cursor = ReadCursor()

    @invariant()
    def offsets_are_in_order(self) -> None:
        log = self.log
        assert log.log_start_offset == self.start
        assert log.log_end_offset == len(self.records)
        assert log.log_start_offset <= log.high_watermark <= log.flushed_end_offset <= log.log_end_offset
        assert log.high_watermark == self.readable
        assert log.size_bytes == sum(self.disk.file_size(segment.path) for segment in log.segments)
        assert not log.defects

    def teardown(self) -> None:
        self.loop.close()


TestLogBesideList = LogBesideList.TestCase
TestLogBesideList.settings = hypothesis_settings(max_examples=100, stateful_step_count=40, deadline=None)

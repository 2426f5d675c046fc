"""Records into batches: what a batch takes, when it is closed, and what that costs of the buffer."""

from __future__ import annotations

import random

import pytest

from streamkeep.errors import UnknownPartitionError
from streamkeep.producer.accumulator import PartitionQueue, TopicBuffer
from streamkeep.producer.arguments import record_size
from streamkeep.producer.batch import Batch
from streamkeep.producer.buffer_pool import BufferPool
from streamkeep.producer.columns import checked_columns
from streamkeep_common.partitioning import KeyHashes
from streamkeep_common.records import Codec, decode_batch

BATCH_BYTES = 1_000
LARGEST = 1 << 20


class Heard:
    """Notes what the queues tell."""

    def __init__(self) -> None:
        self.opened = 0
        self.full = 0

    def on_open(self, _queue: PartitionQueue) -> None:
        self.opened += 1

    def on_full(self, _queue: PartitionQueue) -> None:
        self.full += 1


class Buffer:
    """A topic's queues with a pool of their own."""

    def __init__(
        self, *, partitions: int = 1, capacity: int = 100_000, batch_bytes: int = BATCH_BYTES
    ) -> None:
        self.heard = Heard()
        self.pool = BufferPool(capacity)
        self.topic = TopicBuffer(
            "t",
            b"i" * 16,
            batch_bytes=batch_bytes,
            max_in_flight=5,
            pool=self.pool,
            listener=self.heard,
            hashes=KeyHashes(),
            rng=random.Random(3),
        )
        for queue in self.topic.grow(partitions):
            queue.has_leader = True

    @property
    def queue(self) -> PartitionQueue:
        return self.topic.queues[0]

    def append(self, value: bytes | None, key: bytes | None = None, now_ms: int = 1_000) -> bool:
        size = record_size(value, key, None)
        batch = self.topic.queue_for(key, None, size).room_for(size, now_ms, 0.0)
        if batch is None:
            return False
        batch.append(value, key, None, now_ms, size)
        return True


def sealed(batch: Batch) -> Batch:
    batch.sequence = 0
    batch.encode(Codec.NONE, 1)
    return batch


def test_a_batch_is_closed_when_the_next_record_has_no_room() -> None:
    buffer = Buffer()
    for _ in range(25):
        assert buffer.append(b"x" * 96)
    assert [batch.record_count for batch in buffer.queue.sequencer.pending] == [10, 10]
    assert buffer.queue.open is not None and len(buffer.queue.open.values) == 5
    assert (buffer.heard.opened, buffer.heard.full) == (3, 2)


def test_a_record_larger_than_a_batch_has_one_of_its_own() -> None:
    buffer = Buffer()
    for size in (10, 5_000, 10):
        assert buffer.append(b"x" * size)
    buffer.queue.close_open()
    assert [batch.record_count for batch in buffer.queue.sequencer.pending] == [1, 1, 1]


def test_closed_batches_hold_what_they_take_and_open_ones_a_little_more() -> None:
    buffer = Buffer()
    buffer.append(b"x" * 96)
    assert 100 <= buffer.pool.used_bytes <= BATCH_BYTES
    buffer.queue.close_open()
    assert buffer.pool.used_bytes == 100


def test_a_full_buffer_takes_nothing_more_until_something_is_freed() -> None:
    buffer = Buffer(capacity=1_000)
    taken = sum(buffer.append(b"x" * 96) for _ in range(15))
    assert taken == 10
    buffer.pool.give(100)
    assert buffer.append(b"x" * 96)
    assert not buffer.append(b"x" * 96)


def test_columns_appear_only_when_some_record_needs_them() -> None:
    buffer = Buffer()
    buffer.append(b"a")
    batch = buffer.queue.open
    assert batch is not None and batch.keys is None and batch.timestamps_ms is None
    buffer.append(b"b", now_ms=1_001)
    buffer.append(b"c", key=b"k", now_ms=1_000)
    buffer.append(None, now_ms=999)
    buffer.queue.close_open()
    columns = decode_batch(sealed(batch).encode(Codec.NONE, 1), check=False)
    assert columns.values == [b"a", b"b", b"c", None]
    assert columns.keys == [None, None, b"k", None]
    assert columns.timestamps_ms == [1_000, 1_001, 1_000, 999]


def test_a_split_batch_has_all_records_in_two_halves() -> None:
    buffer = Buffer()
    for number in range(7):
        buffer.append(b"%d" % number, key=b"k" if number == 5 else None, now_ms=1_000 + number)
    batch = buffer.queue.open
    assert batch is not None
    batch.headers = {6: [("h", b"1")]}
    buffer.queue.close_open()
    halves = sealed(batch).split()
    columns = [decode_batch(sealed(half).encode(Codec.NONE, 1), check=False) for half in halves]
    assert [values for column in columns for values in column.values] == [
        b"%d" % number for number in range(7)
    ]
    assert [half.first_index for half in halves] == [0, 3]
    assert columns[0].keys is None and columns[1].keys == [None, None, b"k", None]
    assert columns[1].timestamps_ms == [1_003, 1_004, 1_005, 1_006]
    assert columns[1].headers == {3: [("h", b"1")]}
    assert sum(half.reserved for half in halves) == batch.reserved


def test_records_without_a_key_stay_together_and_then_move_on() -> None:
    buffer = Buffer(partitions=4)
    for _ in range(200):
        buffer.append(b"x" * 96)
    counts = [
        sum(batch.record_count for batch in queue.sequencer.pending)
        + len(queue.open.values if queue.open else ())
        for queue in buffer.topic.queues
    ]
    assert sum(counts) == 200
    assert all(count % 10 == 0 for count in counts), "a batch at a time"
    assert sum(map(bool, counts)) > 1


def test_explicit_partitions_have_to_exist() -> None:
    buffer = Buffer(partitions=2)
    assert buffer.topic.queue_for(b"k", 1) is buffer.topic.queues[1]
    for wrong in (-1, 2):
        with pytest.raises(UnknownPartitionError):
            buffer.topic.queue_for(None, wrong)


@pytest.mark.parametrize("seed", range(20))
def test_columns_are_cut_into_full_batches_whatever_the_sizes(seed: int) -> None:
    rng = random.Random(seed)
    largest = rng.choice([1, 50, 3_000])
    values = [
        None if rng.random() < 0.1 else b"x" * rng.randint(0, largest) for _ in range(rng.randint(1, 400))
    ]
    columns = checked_columns(values, None, None, 5, LARGEST)
    buffer = Buffer(capacity=10_000_000)
    start = 0
    while start < len(values):
        span = buffer.queue.extend(columns, start, 5, 0.0)
        assert span is not None and len(span.inputs) > 0
        assert list(span.inputs) == list(range(start, start + len(span.inputs)))
        start += len(span.inputs)
    buffer.queue.close_open()
    batches = list(buffer.queue.sequencer.pending)
    assert [value for batch in batches for value in batch.values] == values
    assert all(batch.size <= BATCH_BYTES or batch.record_count == 1 for batch in batches)
    assert buffer.pool.used_bytes == sum(batch.size for batch in batches) == columns.total_bytes


def test_who_sends_little_at_a_time_reaches_all_partitions_however_large_a_batch_may_be() -> None:
    buffer = Buffer(partitions=6, capacity=10 * LARGEST, batch_bytes=LARGEST)
    used = set()
    for _ in range(2_000):
        buffer.append(b"x" * 96)
        for queue in buffer.topic.queues:
            if queue.open is not None:
                used.add(queue.partition)
                queue.close_open()  # as when it is sent, long before it is full
    assert used == set(range(6))

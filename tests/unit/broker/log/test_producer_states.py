"""A batch that is sent twice is stored once, and one that was never stored is never called a duplicate."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkeep_broker.log.producer_snapshot import BrokenSnapshotError, decode_snapshot, encode_snapshot
from streamkeep_broker.log.producer_states import ProducerStates
from streamkeep_common.errors import (
    DuplicateSequenceError,
    OutOfOrderSequenceError,
    ProducerFencedError,
    UnknownProducerError,
)
from streamkeep_common.limits import MAX_SEQUENCE


def record(
    states: ProducerStates,
    first: int,
    count: int,
    *,
    offset: int,
    epoch: int = 0,
    at_ms: int = 1000,
    producer_id: int = 7,
) -> None:
    states.record(
        producer_id,
        epoch,
        base_sequence=first,
        last_offset_delta=count - 1,
        base_offset=offset,
        append_time_ms=at_ms,
    )


def with_batches(count: int) -> ProducerStates:
    """Batches of ten records, sequences and offsets 100 apart."""
    states = ProducerStates()
    for number in range(count):
        record(states, number * 10, 10, offset=100 + number * 10)
    return states


def test_an_unknown_producer_begins_with_sequence_0() -> None:
    states = ProducerStates()
    assert states.check(7, 3, 0, 10) is None
    with pytest.raises(UnknownProducerError, match="sequence is 10"):
        states.check(7, 0, 10, 10)


def test_the_next_sequence_is_taken_and_a_gap_is_not() -> None:
    states = with_batches(3)
    assert states.check(7, 0, 30, 5) is None
    with pytest.raises(OutOfOrderSequenceError, match="31 to 35, but 30 comes next"):
        states.check(7, 0, 31, 5)


def test_each_of_the_last_five_batches_is_answered_with_its_offsets() -> None:
    states = with_batches(8)
    for number in range(3, 8):
        assert states.check(7, 0, number * 10, 10) == (100 + number * 10, 110 + number * 10, 1000)


def test_an_older_duplicate_is_a_success_without_offset() -> None:
    states = with_batches(8)
    for number in range(3):
        with pytest.raises(DuplicateSequenceError):
            states.check(7, 0, number * 10, 10)


@pytest.mark.parametrize(("first", "count"), [(30, 9), (35, 5), (25, 10), (30, 20), (75, 10)])
def test_a_batch_cut_otherwise_than_before_is_refused(first: int, count: int) -> None:
    with pytest.raises(OutOfOrderSequenceError):
        with_batches(8).check(7, 0, first, count)


def test_sequences_wrap_to_0() -> None:
    states = ProducerStates()
    record(states, MAX_SEQUENCE - 9, 10, offset=0)
    assert states.check(7, 0, 0, 3) is None
    record(states, 0, 3, offset=10)
    assert states.check(7, 0, 3, 1) is None
    assert states.check(7, 0, MAX_SEQUENCE - 9, 10) == (0, 10, 1000)
    with pytest.raises(DuplicateSequenceError):
        states.check(7, 0, MAX_SEQUENCE - 19, 10)


def test_a_batch_may_wrap_in_its_middle() -> None:
    states = ProducerStates()
    record(states, MAX_SEQUENCE - 1, 5, offset=0)
    assert states.check(7, 0, MAX_SEQUENCE - 1, 5) == (0, 5, 1000)
    assert states.check(7, 0, 3, 1) is None


def test_a_new_epoch_begins_with_sequence_0_and_fences_the_old() -> None:
    states = with_batches(2)
    assert states.check(7, 1, 0, 5) is None
    with pytest.raises(OutOfOrderSequenceError, match="new epoch 1"):
        states.check(7, 1, 20, 5)
    record(states, 0, 5, offset=120, epoch=1)
    with pytest.raises(ProducerFencedError):
        states.check(7, 0, 20, 5)
    assert states.check(7, 1, 0, 5) == (120, 125, 1000)


def test_silent_producers_are_forgotten_after_their_time() -> None:
    states = ProducerStates()
    record(states, 0, 1, offset=0, at_ms=1000, producer_id=1)
    record(states, 0, 1, offset=1, at_ms=2000, producer_id=2)
    states.expire(3000, 1000)
    assert list(states.by_id) == [2]
    states.expire(0, 1000)
    assert list(states.by_id) == [2], "a clock that goes back forgets nobody"


batches = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 2), st.integers(0, MAX_SEQUENCE), st.integers(1, 50)),
    max_size=30,
)


def _with(entries: list[tuple[int, int, int, int]]) -> ProducerStates:
    states = ProducerStates()
    for offset, (producer_id, epoch, sequence, count) in enumerate(entries):
        record(states, sequence, count, offset=offset, epoch=epoch, producer_id=producer_id)
    return states


def _contents(states: ProducerStates) -> dict[int, tuple[int, object]]:
    return {key: (state.epoch, state.batches) for key, state in states.by_id.items()}


@settings(deadline=None)
@given(batches)
def test_a_snapshot_brings_everything_back(entries: list[tuple[int, int, int, int]]) -> None:
    states = _with(entries)
    assert _contents(decode_snapshot(encode_snapshot(states, 42), 42)) == _contents(states)


@settings(deadline=None)
@given(batches, st.data())
def test_a_torn_or_changed_snapshot_is_never_believed(
    entries: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    good = encode_snapshot(_with(entries), 42)
    with pytest.raises(BrokenSnapshotError):
        decode_snapshot(good, 43)
    with pytest.raises(BrokenSnapshotError):
        decode_snapshot(good[: data.draw(st.integers(0, len(good) - 1))], 42)
    changed = bytearray(good)
    changed[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BrokenSnapshotError):
        decode_snapshot(bytes(changed), 42)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_no_snapshot(data: bytes) -> None:
    with pytest.raises(BrokenSnapshotError):
        decode_snapshot(data, 0)

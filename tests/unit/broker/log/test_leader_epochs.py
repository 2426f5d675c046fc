"""Which epoch wrote which offsets, kept over restarts, torn lines and lost tails."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkeep_broker.log.leader_epochs import BrokenEpochsError, LeaderEpochs


def epochs_of(*starts: tuple[int, int]) -> LeaderEpochs:
    epochs = LeaderEpochs()
    for epoch, start_offset in starts:
        epochs.assign(epoch, start_offset)
    return epochs


def test_an_epoch_ends_where_the_next_one_begins() -> None:
    epochs = epochs_of((1, 0), (2, 10), (5, 30))
    assert epochs.latest == 5
    assert [epochs.end_offset(epoch, 50) for epoch in range(7)] == [
        None,
        (1, 10),
        (2, 30),
        (2, 30),
        (2, 30),
        (5, 50),
        (5, 50),
    ]


def test_each_offset_has_the_epoch_that_wrote_it() -> None:
    epochs = epochs_of((1, 5), (2, 10))
    assert [epochs.at(offset) for offset in (4, 5, 9, 10, 99)] == [0, 1, 1, 2, 2]


def test_an_epoch_that_wrote_nothing_is_overruled() -> None:
    epochs = epochs_of((1, 0), (2, 10), (3, 10))
    assert list(epochs.starts) == [(1, 0), (3, 10)]


def test_the_same_epoch_again_changes_nothing() -> None:
    epochs = epochs_of((1, 0), (1, 10))
    assert list(epochs.starts) == [(1, 0)]


def test_epochs_follow_the_log_start_and_the_log_end() -> None:
    epochs = epochs_of((1, 0), (2, 10), (3, 20), (4, 30))
    epochs.forget_before(15)
    assert list(epochs.starts) == [(2, 15), (3, 20), (4, 30)]
    epochs.forget_after(25)
    assert list(epochs.starts) == [(2, 15), (3, 20)]
    epochs.forget_after(20)
    assert epochs.latest == 3, "it begins where the log ends and may have been assigned without a record"


def test_the_file_is_readable_text_and_brings_the_epochs_back() -> None:
    epochs = epochs_of((1, 0), (2, 10), (3, 10))
    lines = epochs.unsaved()
    assert [line.split()[:2] for line in lines.splitlines()] == [[b"1", b"0"], [b"2", b"10"], [b"3", b"10"]]
    assert list(LeaderEpochs.decode(lines).starts) == [(1, 0), (3, 10)]
    epochs.saved()
    assert epochs.unsaved() == b""
    epochs.assign(4, 40)
    assert list(LeaderEpochs.decode(lines + epochs.unsaved()).starts) == [(1, 0), (3, 10), (4, 40)]


def test_a_line_of_a_lost_tail_is_overruled_by_the_next_epoch() -> None:
    lines = epochs_of((1, 0), (2, 100)).unsaved() + epochs_of((3, 50)).unsaved()
    assert list(LeaderEpochs.decode(lines).starts) == [(1, 0), (3, 50)]


@settings(deadline=None)
@given(st.integers(0, 60))
def test_a_torn_last_line_is_forgotten(size: int) -> None:
    lines = epochs_of((1, 0), (2, 10), (3, 20)).unsaved()
    torn = LeaderEpochs.decode(lines[:size])
    assert list(torn.starts) == [(1, 0), (2, 10), (3, 20)][: lines[:size].count(b"\n")]


@settings(deadline=None)
@given(st.data())
def test_a_changed_line_breaks_the_file(data: st.DataObject) -> None:
    good = epochs_of((1, 0), (2, 10), (3, 20)).unsaved()
    changed = bytearray(good)
    changed[data.draw(st.integers(0, len(good) - 2))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BrokenEpochsError):
        LeaderEpochs.decode(bytes(changed))


def test_an_epoch_that_was_led_without_a_record_gives_way_to_records_of_another_leader() -> None:
    epochs = epochs_of((1, 0), (2, 10), (5, 20))
    epochs.follow(2, 20)
    assert list(epochs.starts) == [(1, 0), (2, 10)]
    epochs.follow(4, 25)
    assert list(epochs.starts) == [(1, 0), (2, 10), (4, 25)]
    assert list(LeaderEpochs.decode(epochs.unsaved()).starts) == list(epochs.starts)


def test_frames_that_are_met_again_change_nothing() -> None:
    epochs = epochs_of((1, 0), (2, 10), (5, 20))
    epochs.saved()
    for offset in range(30):
        epochs.follow(epochs.at(offset), offset)
    assert list(epochs.starts) == [(1, 0), (2, 10), (5, 20)]
    assert epochs.unsaved() == b""


def test_records_below_the_first_known_epoch_are_of_no_interest() -> None:
    epochs = epochs_of((4, 60), (5, 80))
    epochs.follow(3, 50)
    assert list(epochs.starts) == [(4, 60), (5, 80)]


def test_where_an_epoch_ends_that_is_before_all_that_are_known() -> None:
    epochs = epochs_of((4, 60), (5, 80))
    assert epochs.end_of(3, log_start_offset=60, log_end_offset=90) == (0, 60)
    assert epochs.end_of(3, log_start_offset=70, log_end_offset=90) == (0, 70)
    assert epochs.end_of(4, log_start_offset=70, log_end_offset=90) == (4, 80)
    assert epochs.end_of(9, log_start_offset=70, log_end_offset=90) == (5, 90)
    assert LeaderEpochs().end_of(9, log_start_offset=70, log_end_offset=70) == (0, 70)

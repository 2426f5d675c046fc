"""A follower's start against its leader's log: what it has is a prefix, or it is told where they part."""

from __future__ import annotations

from collections.abc import Sequence

from streamkeep_broker.log.leader_epochs import EpochEnd
from streamkeep_broker.replication.start_check import Begin, BeginIfFrame, Restart, Verdict, check_start
from streamkeep_proto.v1.replication_pb2 import EpochEndOffset


class Log:
    """Epochs by their starts; the log is empty before the first."""

    def __init__(self, epochs: Sequence[tuple[int, int]], *, end: int, start: int = 0) -> None:
        self.epochs = epochs
        self.log_start_offset = start
        self.log_end_offset = end

    def epoch_end(self, leader_epoch: int) -> EpochEnd:
        best = EpochEnd(0, max(self.log_start_offset, self.epochs[0][1]))
        for number, (epoch, _) in enumerate(self.epochs):
            if epoch <= leader_epoch:
                is_last = number + 1 == len(self.epochs)
                best = EpochEnd(epoch, self.log_end_offset if is_last else self.epochs[number + 1][1])
        return best


LOG = Log([(2, 10), (4, 30), (7, 50)], end=80, start=10)


def check(end: int, last_epoch: int, log: Log = LOG) -> Verdict:
    return check_start(log, log_end_offset=end, last_epoch=last_epoch)


def parts(epoch: int, end: int) -> EpochEndOffset:
    return EpochEndOffset(leader_epoch=epoch, end_offset=end)


def test_a_prefix_goes_on_at_its_end() -> None:
    assert check(80, 7) == check(60, 7) == check(50, 4) == check(30, 2) == Begin()


def test_a_longer_log_of_the_same_epoch_is_cut_to_the_leaders_end() -> None:
    assert check(81, 7) == parts(7, 80)


def test_a_tail_of_an_epoch_that_the_leader_ended_earlier_is_cut() -> None:
    assert check(60, 4) == parts(4, 50)


def test_an_epoch_that_the_leader_never_had_is_cut_to_the_one_before_it() -> None:
    assert check(60, 5) == parts(4, 50)
    assert check(45, 5) == parts(4, 50), "though it is no longer than the leader's"
    assert check(90, 9) == parts(7, 80)


def test_a_follower_older_than_all_that_the_leader_knows_is_cut_to_where_its_epochs_begin() -> None:
    assert check(20, 1) == parts(0, 10)


def test_below_the_log_start_everything_begins_anew() -> None:
    assert check(9, 2) == check(0, 0) == Restart()


def test_an_empty_follower_goes_on_only_where_a_frame_begins() -> None:
    assert check(80, 0) == Begin()
    assert check(10, 0) == check(42, 0) == BeginIfFrame()


def test_an_empty_follower_past_the_leaders_end_begins_anew() -> None:
    assert check(81, 0) == Restart()

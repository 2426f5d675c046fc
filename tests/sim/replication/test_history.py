"""The checkers see what they are for: each broken promise is found, and kept ones pass."""

from __future__ import annotations

import pytest

from tests.sim.replication import history as promises
from tests.sim.replication.history import Election, PartitionHistory
from tests.sim.replication.replica import Frame, Replica
from tests.sim.violation import InvariantError


def frames(*epochs: int, first: int = 0, text: str = "") -> list[Frame]:
    """One record each, of these leader epochs."""
    return [
        Frame(first + place, first + place + 1, epoch, f"{epoch} {text}".encode())
        for place, epoch in enumerate(epochs)
    ]


class Bench:
    """A partition with replicas on brokers 1 to 3, and the first of them leads in epoch 1."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.losses: list[str] = []
        self.history = PartitionHistory(
            "t-0",
            lambda kind, _detail: self.notes.append(kind),
            lambda _history, loss: self.losses.append(loss.reason),
        )
        self.one, self.two, self.three = (self.history.replica(number) for number in (1, 2, 3))
        self.history.assign([1, 2, 3])
        self.lead(self.one, 1)

    def write(self, *replicas: Replica, epochs: tuple[int, ...], acknowledged: bool = True) -> None:
        """These replicas have frames of these epochs from now on, behind what they had."""
        for replica in replicas:
            self.history.extend(replica, frames(*epochs, first=replica.end_offset))
            if acknowledged:
                replica.acknowledged_end = replica.end_offset

    def lead(self, replica: Replica, epoch: int, *candidates: int, forced: bool = False) -> None:
        election = Election(replica.broker_id, candidates or (1, 2, 3), forced=forced)
        self.history.elect(epoch, election)
        self.history.lead(replica, epoch)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def lose_disk(replica: Replica) -> None:
    replica.damage("emptied disk", until_registered=True)
    replica.empty()


def broken(promise: str) -> pytest.RaisesExc[InvariantError]:
    return pytest.raises(InvariantError, match=f"^{promise}: ")


def test_replicas_that_agree_pass(bench: Bench) -> None:
    bench.write(bench.one, bench.two, bench.three, epochs=(1, 1))
    bench.history.commit(bench.one, 2, 1)
    bench.history.follow(bench.two, 2)
    bench.history.require_candidates([1, 2, 3])
    bench.history.restart(bench.two, frames(1, 1), acknowledged_end=2)
    bench.lead(bench.two, 2)
    bench.write(bench.two, bench.one, epochs=(2,))
    bench.history.commit(bench.two, 3, 2)
    assert not bench.losses


def test_two_leaders_of_one_epoch_are_seen(bench: Bench) -> None:
    with broken(promises.ONE_LEADER):
        bench.history.lead(bench.two, 1)


def test_a_leader_that_nobody_elected_is_seen(bench: Bench) -> None:
    bench.history.elect(2, Election(2, (1, 2)))
    with broken(promises.ONE_LEADER):
        bench.history.lead(bench.three, 2)


def test_other_bytes_in_the_same_place_are_seen(bench: Bench) -> None:
    bench.write(bench.one, epochs=(1,))
    with broken(promises.LOG_MATCHING):
        bench.history.extend(bench.two, frames(1, text="other"))


def test_another_past_of_the_same_frame_is_seen(bench: Bench) -> None:
    bench.write(bench.one, epochs=(1, 2))
    bench.history.extend(bench.two, frames(2))
    with broken(promises.LOG_MATCHING):
        bench.history.extend(bench.two, frames(2, first=1))


def test_a_watermark_above_what_is_committed_is_seen(bench: Bench) -> None:
    bench.write(bench.one, bench.two, epochs=(1,))
    with broken(promises.COMMITTED):
        bench.history.follow(bench.two, 1)


def test_something_else_below_a_watermark_is_seen(bench: Bench) -> None:
    bench.write(bench.one, bench.two, epochs=(1,))
    bench.history.extend(bench.three, frames(2))
    bench.history.commit(bench.one, 1, 1)
    with broken(promises.COMMITTED):
        bench.history.follow(bench.three, 1)


def test_a_watermark_that_goes_back_is_seen(bench: Bench) -> None:
    bench.write(bench.one, epochs=(1, 1))
    bench.history.commit(bench.one, 2, 1)
    with broken(promises.MONOTONIC):
        bench.history.commit(bench.one, 1, 1)


def test_a_member_that_has_not_flushed_what_is_committed_is_seen(bench: Bench) -> None:
    bench.write(bench.one, epochs=(1,))
    bench.write(bench.two, epochs=(1,), acknowledged=False)
    bench.history.commit(bench.one, 1, 1)
    bench.history.require_candidates([1])
    with broken(promises.CANDIDATES):
        bench.history.require_candidates([1, 2])


def test_cutting_off_what_is_committed_is_seen(bench: Bench) -> None:
    bench.write(bench.one, bench.two, epochs=(1, 1))
    bench.history.commit(bench.one, 1, 1)
    bench.history.cut(bench.two, 1)
    with broken(promises.CUT):
        bench.history.cut(bench.two, 0)


def test_beginning_anew_above_every_log_start_is_seen(bench: Bench) -> None:
    bench.write(bench.one, epochs=(1, 1))
    bench.history.log_start = 1
    bench.history.begin(bench.two, 1)
    with broken(promises.CUT):
        bench.history.begin(bench.two, 2)


def test_a_replica_that_comes_back_without_what_it_acknowledged_is_seen(bench: Bench) -> None:
    bench.write(bench.one, epochs=(1, 1))
    with broken(promises.DURABLE):
        bench.history.restart(bench.one, frames(1), acknowledged_end=2)


def test_a_leader_without_what_was_committed_is_seen(bench: Bench) -> None:
    bench.write(bench.one, bench.two, epochs=(1,))
    bench.history.commit(bench.one, 1, 1)
    with broken(promises.COMPLETENESS):
        bench.lead(bench.three, 2)


def test_what_an_older_leader_commits_behind_the_back_of_the_newer_one_is_seen(bench: Bench) -> None:
    bench.lead(bench.two, 2)
    bench.write(bench.one, epochs=(1,))
    with broken(promises.COMPLETENESS):
        bench.history.commit(bench.one, 1, 1)


def test_what_the_only_disks_lose_is_lost_by_their_name(bench: Bench) -> None:
    bench.write(bench.one, bench.two, epochs=(1, 1))
    bench.history.commit(bench.one, 2, 1)
    lose_disk(bench.one)
    lose_disk(bench.two)
    bench.lead(bench.three, 2)
    assert bench.losses == ["emptied disk of broker 1; emptied disk of broker 2"]
    assert bench.history.committed_end == 0


def test_what_one_disk_loses_and_another_member_has_must_be_kept(bench: Bench) -> None:
    bench.write(bench.one, bench.two, epochs=(1,))
    bench.history.commit(bench.one, 1, 1)
    lose_disk(bench.one)
    with broken(promises.COMPLETENESS):
        bench.lead(bench.three, 2)


def test_what_an_operator_forces_is_lost_by_that_name(bench: Bench) -> None:
    bench.write(bench.one, bench.two, epochs=(1,))
    bench.history.commit(bench.one, 1, 1)
    bench.lead(bench.three, 2, 1, 2, forced=True)
    assert bench.losses == ["forced election"]


def test_a_log_that_goes_when_a_move_completes_promises_nothing_more(bench: Bench) -> None:
    bench.write(bench.one, bench.two, bench.three, epochs=(1,))
    bench.history.commit(bench.one, 1, 1)
    bench.history.assign([1, 2])
    bench.history.assign([1, 2, 3])
    bench.history.restart(bench.three, [], acknowledged_end=bench.three.acknowledged_end)
    with broken(promises.CANDIDATES):
        bench.history.require_candidates([3])


def test_what_was_found_corrupt_may_be_put_aside(bench: Bench) -> None:
    bench.write(bench.one, bench.two, bench.three, epochs=(1, 1))
    bench.history.commit(bench.one, 2, 1)
    bench.three.damage("power cut", until_registered=True)
    bench.three.found_damaged()
    bench.three.registered()
    bench.history.begin(bench.three, 0)
    assert bench.three.is_trusted
    assert not bench.three.frames
    bench.history.require_candidates([1, 2])
    with broken(promises.CANDIDATES):
        bench.history.require_candidates([3])

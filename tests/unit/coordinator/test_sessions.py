"""Times in these tests are seconds: timeout 3, grace 0.3, window to re-open 0.7, a tick every 0.05."""

from __future__ import annotations

import pytest

from streamkeep_common.errors import BrokerIdInUseError
from streamkeep_coordinator.sessions import TICK_S, Sessions, SessionTimes, State

A, B = b"a" * 16, b"b" * 16


class Judge:
    """Sessions with a clock that ticks as it should, and the time at which each broker was fenced."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sessions = Sessions(SessionTimes(), self.now)
        self.streams: dict[int, int] = {}
        self.fenced: dict[int, float] = {}
        self.started = self.now

    def open(self, *broker_ids: int, incarnation: bytes = A) -> None:
        for broker_id in broker_ids:
            self.streams[broker_id] = self.sessions.open(broker_id, 1, incarnation, self.now)

    def broke(self, *broker_ids: int) -> None:
        for broker_id in broker_ids:
            self.sessions.broke(broker_id, self.streams[broker_id], self.now)

    def run(self, seconds: float, *, silent: tuple[int, ...] = ()) -> None:
        """Time goes by; every open stream but the silent ones sends heartbeats."""
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            for broker_id, stream in self.streams.items():
                if self.sessions.state(broker_id) is State.OPEN and broker_id not in silent:
                    self.sessions.heard(broker_id, stream, self.now)
            self.tick()

    def tick(self) -> None:
        for broker_id, _ in self.sessions.tick(self.now):
            self.fenced[broker_id] = round(self.now - self.started, 2)


def within_a_tick(times: dict[int, float]) -> object:
    return pytest.approx(times, abs=TICK_S * 1.1)


def test_a_broker_that_sends_heartbeats_is_never_fenced() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    judge.run(60)
    assert judge.fenced == {}
    assert judge.sessions.open_count == 3


def test_a_silent_broker_is_fenced_after_the_session_timeout() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    judge.run(5, silent=(2,))
    assert judge.fenced == within_a_tick({2: 3.0})


def test_a_broken_stream_fences_after_the_grace() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    judge.broke(1)
    judge.run(0.25)
    assert judge.fenced == {}
    judge.run(0.1)
    assert judge.fenced == within_a_tick({1: 0.3})


def test_a_stream_opened_again_within_the_grace_saves_the_session() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    judge.broke(1)
    judge.run(0.2)
    judge.open(1)
    judge.run(10)
    assert judge.fenced == {}


def test_the_break_of_an_older_stream_means_nothing() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    old = judge.streams[1]
    judge.open(1)
    judge.sessions.broke(1, old, judge.now)
    judge.run(10)
    assert judge.fenced == {}


def test_when_most_sessions_break_at_once_nobody_is_fenced_before_the_timeout() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    judge.broke(1)
    judge.run(0.2)
    judge.broke(2)
    judge.run(2.6)
    assert judge.fenced == {}
    judge.run(1)
    assert judge.fenced == within_a_tick({1: 3.0, 2: 3.2})


def test_those_that_come_back_after_a_mass_break_are_not_fenced() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    judge.broke(1, 2, 3)
    judge.run(2)
    judge.open(1, 2, 3)
    judge.run(10)
    assert judge.fenced == {}


def test_breaks_that_are_a_grace_apart_are_no_mass_break() -> None:
    judge = Judge()
    judge.open(1, 2, 3, 4, 5)
    for broker_id in (1, 2):
        judge.broke(broker_id)
        judge.run(0.35)
    assert judge.fenced == within_a_tick({1: 0.3, 2: 0.65})


def test_a_stall_of_the_judge_extends_every_deadline() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    judge.broke(1)
    judge.now += 10.0
    judge.tick()
    assert judge.fenced == {}
    judge.run(0.35)
    assert list(judge.fenced) == [1]


def test_a_tick_that_is_a_little_late_extends_nothing() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    judge.broke(1)
    for _ in range(3):
        judge.now += TICK_S + 0.09
        judge.tick()
    assert list(judge.fenced) == [1]


def await_brokers(judge: Judge, *broker_ids: int) -> None:
    for broker_id in broker_ids:
        judge.sessions.await_broker(broker_id, 1, A)


def test_a_new_judge_fences_the_missing_when_most_have_come() -> None:
    judge = Judge()
    await_brokers(judge, 1, 2, 3)
    judge.run(0.3)
    judge.open(1, 2)
    judge.run(5)
    assert judge.fenced == within_a_tick({3: 0.7})


def test_a_new_judge_spares_those_who_come_a_moment_after_most() -> None:
    judge = Judge()
    await_brokers(judge, 1, 2, 3)
    judge.open(1)
    judge.run(0.8)  # the others notice only now that the judge before is silent
    judge.open(2)
    judge.run(0.2)
    assert judge.fenced == {}
    judge.open(3)
    judge.run(5)
    assert judge.fenced == {}


def test_a_new_judge_to_whom_few_have_come_waits_for_the_timeout() -> None:
    judge = Judge()
    await_brokers(judge, 1, 2, 3)
    judge.run(0.3)
    judge.open(1)
    judge.run(5)
    assert judge.fenced == within_a_tick({2: 3.0, 3: 3.0})


def test_a_new_judge_fences_nobody_who_comes_in_time() -> None:
    judge = Judge()
    await_brokers(judge, 1, 2, 3)
    judge.run(0.6)
    judge.open(1, 2, 3)
    judge.run(10)
    assert judge.fenced == {}


def test_a_broker_that_asks_in_time_is_not_fenced_however_long_its_registration_takes() -> None:
    judge = Judge()
    await_brokers(judge, 1, 2, 3)
    judge.run(0.2)
    judge.open(1, 2)
    asked = judge.sessions.asked(3, A, judge.now)
    judge.run(10)
    assert judge.fenced == {}
    assert asked is not None
    judge.sessions.answered(asked, judge.now)
    judge.open(3)
    judge.run(10)
    assert judge.fenced == {}


def test_a_broker_that_is_silent_after_its_registration_was_answered_is_fenced_after_the_timeout() -> None:
    judge = Judge()
    await_brokers(judge, 1, 2, 3)
    judge.open(1, 2)
    asked = judge.sessions.asked(3, A, judge.now)
    judge.run(5)
    assert asked is not None
    judge.sessions.answered(asked, judge.now)
    judge.run(5)
    assert judge.fenced == within_a_tick({3: 8.0})


def test_of_two_registrations_of_one_broker_each_is_waited_for() -> None:
    judge = Judge()
    await_brokers(judge, 1)
    first, second = (judge.sessions.asked(1, A, judge.now) for _ in range(2))
    assert first is not None and second is not None
    judge.sessions.answered(first, judge.now)
    judge.run(5)
    assert judge.fenced == {}
    judge.sessions.answered(second, judge.now)
    judge.run(5)
    assert judge.fenced == within_a_tick({1: 8.0})


def test_a_broker_that_asks_again_after_a_break_has_the_whole_timeout() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    judge.run(1)
    asked = judge.sessions.asked(3, A, judge.now)
    judge.broke(3)
    assert asked is not None
    judge.sessions.answered(asked, judge.now)
    judge.run(5)
    assert judge.fenced == within_a_tick({3: 4.0})


def test_another_incarnation_that_asks_saves_nobody() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    judge.run(1)
    judge.broke(3)
    judge.sessions.asked(3, B, judge.now)
    judge.run(1)
    assert judge.fenced == within_a_tick({3: 1.3})


def test_a_new_judge_that_loses_all_who_have_come_does_not_fence_them_early_for_those_still_missing() -> None:
    judge = Judge()
    await_brokers(judge, 1, 2, 3)
    judge.run(0.2)
    judge.open(1)
    judge.broke(1)
    judge.run(2.5)
    assert judge.fenced == {}
    judge.open(1)
    judge.run(5)
    assert judge.fenced == within_a_tick({2: 3.0, 3: 3.0})


def test_another_incarnation_is_refused_while_the_stream_is_open() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    with pytest.raises(BrokerIdInUseError, match="another process with broker id 1 is alive"):
        judge.sessions.check_may_register(1, B)
    judge.sessions.check_may_register(1, A)
    judge.sessions.check_may_register(9, B)

    judge.broke(1)
    judge.sessions.check_may_register(1, B)


def test_a_broker_that_stopped_in_order_is_not_waited_for() -> None:
    judge = Judge()
    judge.open(1, 2, 3)
    assert judge.sessions.leave(1, judge.streams[1])
    assert not judge.sessions.leave(1, judge.streams[1])
    assert judge.sessions.state(1) is None
    judge.run(5)
    assert judge.fenced == {}


def deserted_after(judge: Judge, seconds: float, *, silent: tuple[int, ...] = ()) -> list[float]:
    """The times at which the judge was found to be deserted."""
    times = []
    began = judge.now
    while judge.now < began + seconds:
        judge.run(TICK_S, silent=silent)
        if judge.sessions.is_deserted(judge.now):
            times.append(round(judge.now - began, 2))
    return times


def in_company(judge: Judge, *broker_ids: int) -> None:
    judge.open(*broker_ids)
    assert deserted_after(judge, 1.0) == []


def test_a_judge_whose_sessions_all_break_is_deserted_after_the_grace_and_once() -> None:
    judge = Judge()
    in_company(judge, 1, 2, 3)
    judge.broke(1, 2, 3)
    assert deserted_after(judge, 10.0) == [pytest.approx(0.3, abs=0.06)]


def test_a_judge_that_hears_nobody_is_deserted_well_before_it_fences_them() -> None:
    judge = Judge()
    in_company(judge, 1, 2, 3)
    assert deserted_after(judge, 2.5, silent=(1, 2, 3)) == [pytest.approx(1.8, abs=0.11)]
    assert judge.fenced == {}


def test_a_judge_that_still_hears_one_is_not_deserted() -> None:
    judge = Judge()
    in_company(judge, 1, 2, 3)
    judge.broke(1)
    assert deserted_after(judge, 10.0, silent=(2,)) == []


def test_a_judge_to_whom_one_comes_back_in_time_is_not_deserted() -> None:
    judge = Judge()
    in_company(judge, 1)
    judge.broke(1)
    assert deserted_after(judge, 0.2) == []
    judge.open(1)
    assert deserted_after(judge, 10.0) == []


def test_a_judge_that_never_had_company_is_not_deserted() -> None:
    judge = Judge()
    await_brokers(judge, 1, 2, 3)
    assert deserted_after(judge, 10.0) == []


def test_a_judge_that_was_left_in_order_is_not_deserted() -> None:
    judge = Judge()
    in_company(judge, 1, 2)
    for broker_id in (1, 2):
        judge.sessions.leave(broker_id, judge.streams.pop(broker_id))
    assert deserted_after(judge, 10.0) == []


def test_a_stalled_judge_is_not_deserted_by_brokers_that_it_could_not_hear() -> None:
    judge = Judge()
    in_company(judge, 1, 2, 3)
    judge.now += 10.0
    judge.tick()
    assert not judge.sessions.is_deserted(judge.now)
    assert deserted_after(judge, 5.0) == []

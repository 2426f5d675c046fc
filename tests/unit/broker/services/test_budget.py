"""What is in flight stays bounded, and nobody who waits for room is forgotten."""

from __future__ import annotations

import random

from streamkeep_broker.services.budget import Budget, StreamBudget


def nothing() -> None:
    """For streams that do not wait."""


def test_a_stream_over_its_own_limit_has_no_room_until_it_is_answered() -> None:
    woken: list[str] = []
    stream = Budget(limit_bytes=1000, stream_limit_bytes=100).open_stream(lambda: woken.append("a"))
    stream.charge(150)
    assert not stream.has_room()
    stream.release(50)
    assert woken == ["a"] or not stream.has_room()
    stream.release(100)
    assert woken == ["a"]
    assert stream.has_room()


def test_a_full_broker_stops_every_stream() -> None:
    budget = Budget(limit_bytes=100, stream_limit_bytes=100)
    busy, idle = budget.open_stream(nothing), budget.open_stream(nothing)
    busy.charge(100)
    assert not idle.has_room()


def test_while_room_is_tight_streams_wake_one_at_a_time_in_the_order_they_came() -> None:
    budget = Budget(limit_bytes=100, stream_limit_bytes=100)
    woken: list[str] = []
    busy = budget.open_stream(nothing)
    first, second = (budget.open_stream(lambda name=name: woken.append(name)) for name in ("first", "second"))
    busy.charge(120)
    assert not first.has_room()
    assert not second.has_room()
    busy.release(30)
    assert woken == ["first"]
    busy.release(30)
    assert woken == ["first", "second"]


def test_when_half_is_free_everybody_wakes() -> None:
    budget = Budget(limit_bytes=100, stream_limit_bytes=100)
    woken: list[int] = []
    busy = budget.open_stream(nothing)
    for number in range(3):
        assert not _blocked(budget, busy, woken, number).has_room()
    busy.release(100)
    assert woken == [0, 1, 2]


def _blocked(budget: Budget, busy: StreamBudget, woken: list[int], number: int) -> StreamBudget:
    if busy.used_bytes == 0:
        busy.charge(100)
    return budget.open_stream(lambda: woken.append(number))


def test_a_stream_that_is_gone_is_not_woken() -> None:
    budget = Budget(limit_bytes=100, stream_limit_bytes=100)
    woken: list[str] = []
    busy, gone = budget.open_stream(nothing), budget.open_stream(lambda: woken.append("gone"))
    busy.charge(100)
    assert not gone.has_room()
    gone.close()
    busy.release(100)
    assert woken == []


def test_what_a_stream_that_is_gone_had_charged_is_given_back() -> None:
    budget = Budget(limit_bytes=100, stream_limit_bytes=100)
    gone = budget.open_stream(nothing)
    gone.charge(100)
    gone.close()
    assert budget.used_bytes == 0


def test_whoever_waits_is_woken_when_everything_is_released() -> None:
    rng = random.Random(3)
    for _ in range(200):
        budget = Budget(limit_bytes=rng.randint(50, 500), stream_limit_bytes=50)
        waiting: dict[int, None] = {}
        streams = [budget.open_stream(lambda n=n, waiting=waiting: waiting.pop(n, None)) for n in range(8)]
        charges: list[tuple[StreamBudget, int]] = []
        for _ in range(60):
            number = rng.randrange(8)
            if streams[number].has_room():
                charges.append((streams[number], rng.randint(1, 80)))
                streams[number].charge(charges[-1][1])
            else:
                waiting[number] = None
        for stream, amount in charges:
            stream.release(amount)
        assert not waiting
        assert budget.used_bytes == 0

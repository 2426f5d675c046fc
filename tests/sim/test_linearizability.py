"""The judge of histories is judged: by cases with a known verdict, and by trying every order."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest

from tests.sim.linearizability import Kind, Operation, Outcome, check


def op(
    kind: Kind, start: float, end: float | None, outcome: Outcome, value: bytes = b"", *, key: str = "t"
) -> Operation:
    return Operation(kind, key, start, end, outcome, value)


CREATED = op("create", 0, 1, Outcome.DONE, b"a")
UNKNOWN = op("create", 0, None, Outcome.UNKNOWN, b"a")

GOOD: dict[str, list[Operation]] = {
    "nothing happened": [],
    "one after the other": [
        CREATED,
        op("exists", 2, 3, Outcome.PRESENT, b"a"),
        op("create", 3.5, 3.6, Outcome.REFUSED),
        op("delete", 4, 5, Outcome.DONE, b"a"),
        op("exists", 6, 7, Outcome.ABSENT),
        op("delete", 8, 9, Outcome.REFUSED),
        op("create", 10, 11, Outcome.DONE, b"b"),
    ],
    "a look during a create may see either": [
        op("create", 0, 10, Outcome.DONE, b"a"),
        op("exists", 1, 2, Outcome.ABSENT),
        op("exists", 3, 4, Outcome.PRESENT, b"a"),
    ],
    "what has no answer may have happened": [UNKNOWN, op("exists", 5, 6, Outcome.PRESENT, b"a")],
    "what has no answer may happen late": [
        UNKNOWN,
        op("exists", 5, 6, Outcome.ABSENT),
        op("exists", 7, 8, Outcome.PRESENT, b"a"),
    ],
    "what has no answer may never happen": [UNKNOWN, op("exists", 5, 6, Outcome.ABSENT)],
    "a delete without an answer explains a second create": [
        CREATED,
        op("delete", 2, None, Outcome.UNKNOWN),
        op("create", 3, 4, Outcome.DONE, b"b"),
    ],
    "two that overlap, in the order of their effects": [
        op("create", 0, 10, Outcome.DONE, b"a"),
        op("create", 1, 9, Outcome.DONE, b"b"),
        op("delete", 2, 8, Outcome.DONE),
    ],
    "names are apart": [CREATED, op("exists", 2, 3, Outcome.ABSENT, key="u")],
    "touching at one moment is overlapping": [CREATED, op("exists", 1, 2, Outcome.ABSENT)],
}
BAD: dict[str, list[Operation]] = {
    "a stale look": [CREATED, op("exists", 2, 3, Outcome.ABSENT)],
    "a lost create": [CREATED, op("delete", 2, 3, Outcome.REFUSED)],
    "two creates, both done": [CREATED, op("create", 2, 3, Outcome.DONE, b"b")],
    "seen before it began": [op("exists", 0, 1, Outcome.PRESENT), op("create", 2, 3, Outcome.DONE, b"a")],
    "a look goes back": [
        op("create", 0, 10, Outcome.DONE, b"a"),
        op("exists", 1, 2, Outcome.PRESENT, b"a"),
        op("exists", 3, 4, Outcome.ABSENT),
    ],
    "another thing under the name": [CREATED, op("exists", 2, 3, Outcome.PRESENT, b"b")],
    "one create without an answer happens once": [
        UNKNOWN,
        op("delete", 2, 3, Outcome.DONE),
        op("exists", 4, 5, Outcome.PRESENT, b"a"),
    ],
    "the second name is looked at too": [CREATED, op("exists", 2, 3, Outcome.PRESENT, key="u")],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_history_with_an_order_passes(name: str) -> None:
    assert check(GOOD[name]).linearizable


@pytest.mark.parametrize("name", BAD)
def test_a_history_without_an_order_fails_and_says_where(name: str) -> None:
    verdict = check(BAD[name])
    assert not verdict.linearizable
    assert "to follow: [" in verdict.explanation


def _any_order(operations: Sequence[Operation]) -> bool:
    """By brute force: some order of some subset (what has no answer may be missing) that respects time."""
    known = [each for each in operations if each.outcome is not Outcome.UNKNOWN]
    unknown = [each for each in operations if each.outcome is Outcome.UNKNOWN]
    for count in range(len(unknown) + 1):
        for chosen in itertools.combinations(unknown, count):
            if any(_explains(order) for order in itertools.permutations([*known, *chosen])):
                return True
    return False


def _explains(order: Sequence[Operation]) -> bool:
    for place, operation in enumerate(order):
        if any(later.end is not None and later.end < operation.start for later in order[place + 1 :]):
            return False
    state: bytes | None = None
    for operation in order:
        if operation.outcome in (Outcome.DONE, Outcome.UNKNOWN):
            if (state is None) != (operation.kind == "create"):
                return False
            state = operation.value if operation.kind == "create" else None
        elif operation.outcome in (Outcome.REFUSED, Outcome.PRESENT, Outcome.ABSENT):
            should_exist = (operation.kind, operation.outcome) in (
                ("create", Outcome.REFUSED),
                ("exists", Outcome.PRESENT),
            )
            if (state is not None) != should_exist:
                return False
            if operation.outcome is Outcome.PRESENT and operation.value not in (b"", state):
                return False
    return True


def _random_operation(rng: random.Random, number: int) -> Operation:
    start = rng.randrange(12)
    kind: Kind = rng.choice(("create", "delete", "exists"))
    if kind == "exists":
        outcome = rng.choice((Outcome.PRESENT, Outcome.ABSENT))
    else:
        outcome = rng.choice((Outcome.DONE, Outcome.DONE, Outcome.REFUSED, Outcome.UNKNOWN))
    end = None if outcome is Outcome.UNKNOWN else start + rng.randrange(1, 8)
    value = b"%d" % number if kind == "create" else b"%d" % rng.randrange(3) if rng.random() < 0.3 else b""
    if kind == "delete":
        value = b""
    return op(kind, start, end, outcome, value)


def test_the_verdict_is_that_of_trying_every_order() -> None:
    rng = random.Random(4)
    verdicts = []
    for _ in range(400):
        history = [_random_operation(rng, number) for number in range(rng.randint(2, 6))]
        verdicts.append(check(history).linearizable)
        assert verdicts[-1] == _any_order(history), "\n".join(map(str, history))
    assert 50 < sum(verdicts) < 350


def test_a_long_history_with_many_unknown_outcomes_is_judged_quickly() -> None:
    """What a real register answers, with a third of the answers lost."""
    rng = random.Random(1)
    state, history, now = b"", [], 0.0
    for number in range(600):
        now += rng.random()
        end = now + rng.random() * 3
        value = b"%d" % number
        kind: Kind = rng.choice(("create", "delete", "exists"))
        lost = kind != "exists" and rng.random() < 0.3
        if kind == "exists":
            outcome = Outcome.PRESENT if state else Outcome.ABSENT
            value = state
        else:
            applied = (kind == "create") == (not state)
            outcome = Outcome.UNKNOWN if lost else Outcome.DONE if applied else Outcome.REFUSED
            value = value if kind == "create" else b""
            if applied and (not lost or rng.random() < 0.5):
                state = value
        history.append(op(kind, now, None if lost else end, outcome, value))
    assert check(history).linearizable


def test_many_operations_of_unknown_outcome_do_not_keep_it_from_a_verdict() -> None:
    """Thirty creates and thirty deletes may each have happened or not; what was seen of them fits, but for
    the last look.
    """
    history = [op("create", 0.1 * n, None, Outcome.UNKNOWN, b"id %d" % n) for n in range(30)]
    history += [op("delete", 0.1 * n, None, Outcome.UNKNOWN) for n in range(30)]
    for n in range(20):
        history.append(op("create", 10 + n, 10.5 + n, Outcome.REFUSED))
        history.append(op("delete", 10.6 + n, 10.9 + n, Outcome.REFUSED))
    assert check(history).linearizable
    history.append(op("exists", 40, 41, Outcome.PRESENT, b"never made"))
    assert not check(history).linearizable

"""Is what clients saw of named things explained by one order of all operations that respects real time?

Each name is a register of its own: empty, or the id of what exists under it. `create` fills an empty one,
`delete` empties it, `exists` looks. Linearizability is local (Herlihy and Wing 1990), so every name is
searched alone: depth first over the operations that could come next, remembering each set of operations and
state that led nowhere (Wing and Gong 1993, with Lowe's memory). An operation whose outcome nobody knows may
take effect at any time after its start, or never. Once begun, one unknown delete is as good as another, and
so is one unknown create whose id nobody has ever seen: only how many of them were used is remembered, the
first begun first. Else a few dozen of them would make more sets than could ever be searched.

Knows nothing of simulations: histories of real processes are judged by it too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NamedTuple

MAX_STEPS = 2_000_000
"""Of a search for one name. No history that a test makes comes near it."""

Kind = Literal["create", "delete", "exists"]


class Outcome(Enum):
    """What the caller was told. What surely did not happen is no part of a history."""

    DONE = "done"  # create, delete
    REFUSED = "refused"  # create: there is one already; delete: there is none
    PRESENT = "present"  # exists
    ABSENT = "absent"  # exists
    UNKNOWN = "unknown"  # create, delete: no answer, or one that says that it may still happen


@dataclass(frozen=True, slots=True)
class Operation:
    """One call and its answer. Times are of one clock; `end` is None if the outcome is not known.

    `value` tells one thing under a name from its successor: the id a create gives, or the one that a delete
    or a look was told; empty = not known.
    """

    kind: Kind
    key: str
    start: float
    end: float | None
    outcome: Outcome
    value: bytes = b""
    who: str = ""

    def __str__(self) -> str:
        end = "?" if self.end is None else f"{self.end:.6f}"
        value = f" {self.value.hex()[:8]}" if self.value else ""
        return f"[{self.start:.6f} {end}] {self.who} {self.kind} {self.key}: {self.outcome.value}{value}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`explanation` is for people: the name, the longest order that was found, and what does not fit."""

    linearizable: bool
    explanation: str = ""


def check(history: Sequence[Operation]) -> Verdict:
    """Judge each name by itself. AssertionError if one search takes more than MAX_STEPS."""
    by_key: dict[str, list[Operation]] = {}
    for operation in history:
        by_key.setdefault(operation.key, []).append(operation)
    for key in sorted(by_key):
        search = _Search(by_key[key])
        if not search.succeeds():
            return Verdict(linearizable=False, explanation=f"{key} has no order: {search.explanation()}")
    return Verdict(linearizable=True)


_State = bytes | None
"""What exists under the name; b"" = something of which nothing is known."""

_NEVER_SEEN: _State = b"never seen"
"""What an unknown create made, if no known operation ever names its id."""


class _Guessed(NamedTuple):
    """Which of the unknown operations took effect so far."""

    seen_creates: int = 0
    """As bits: creates whose id somebody has seen."""
    unseen_creates: int = 0
    deletes: int = 0


@dataclass(slots=True)
class _Node:
    """What is placed so far (known operations as bits) and what may come next."""

    placed: int
    guessed: _Guessed
    first: int
    state: _State
    choices: Iterator[_Node] | None = None
    last: Operation | None = None
    order: int = 0
    parent: _Node | None = field(default=None, repr=False)


class _Search:
    """One name. Known operations by start; those with an unknown outcome are tried only after them."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        ordered = sorted(operations, key=lambda operation: operation.start)
        self._known = [each for each in ordered if each.outcome is not Outcome.UNKNOWN]
        unknown = [each for each in ordered if each.outcome is Outcome.UNKNOWN]
        seen_ids = {each.value for each in self._known}
        creates = [each for each in unknown if each.kind == "create"]
        self._seen_creates = [each for each in creates if each.value in seen_ids]
        self._unseen_creates = [each for each in creates if each.value not in seen_ids]
        self._deletes = [each for each in unknown if each.kind == "delete"]
        self._seen: set[tuple[int, _Guessed, _State]] = set()
        self._best = _Node(0, _Guessed(), 0, None)

    def succeeds(self) -> bool:
        root = _Node(0, _Guessed(), 0, None)
        root.choices = self._choices(root)
        stack = [root]
        for _ in range(MAX_STEPS):
            node = stack[-1]
            if node.first == len(self._known):
                return True
            assert node.choices is not None
            child = next(node.choices, None)
            if child is None:
                stack.pop()
                if not stack:
                    return False
            elif (key := (child.placed, child.guessed, child.state)) not in self._seen:
                self._seen.add(key)
                child.choices = self._choices(child)
                stack.append(child)
                if child.order > self._best.order:
                    self._best = child
        raise AssertionError(f"no verdict about {self._known[0].key} after {MAX_STEPS} steps")

    def _choices(self, node: _Node) -> Iterator[_Node]:
        """The deadline is the first end among what is not placed: whoever starts later comes later."""
        deadline = math.inf
        candidates = []
        for place in range(node.first, len(self._known)):
            operation = self._known[place]
            if operation.start > deadline:
                break
            if not node.placed >> place & 1:
                candidates.append(place)
                deadline = min(deadline, math.inf if operation.end is None else operation.end)
        for place in candidates:
            operation = self._known[place]
            if operation.start <= deadline and _fits(operation, node.state):
                yield self._place(node, place)
        for guessed, state, operation in self._guesses(node.guessed, node.state):
            if operation.start <= deadline:
                yield _Node(node.placed, guessed, node.first, state, None, operation, node.order, node)

    def _guesses(self, guessed: _Guessed, state: _State) -> Iterator[tuple[_Guessed, _State, Operation]]:
        """Each unknown operation that could take effect on this state, and what it leads to."""
        if state is not None:
            if guessed.deletes < len(self._deletes):
                yield guessed._replace(deletes=guessed.deletes + 1), None, self._deletes[guessed.deletes]
            return
        if (used := guessed.unseen_creates) < len(self._unseen_creates):
            yield guessed._replace(unseen_creates=used + 1), _NEVER_SEEN, self._unseen_creates[used]
        for place, create in enumerate(self._seen_creates):
            if not guessed.seen_creates >> place & 1:
                bits = guessed.seen_creates | 1 << place
                yield guessed._replace(seen_creates=bits), create.value, create

    def _place(self, node: _Node, place: int) -> _Node:
        operation = self._known[place]
        placed = node.placed | 1 << place
        first = node.first
        while placed >> first & 1:
            first += 1
        state = node.state
        if operation.outcome is Outcome.DONE:
            state = operation.value if operation.kind == "create" else None
        return _Node(placed, node.guessed, first, state, None, operation, node.order + 1, node)

    def explanation(self) -> str:
        """The deepest dead end: the last operations of the order, and those that could not follow."""
        best, order = self._best, []
        node: _Node | None = best
        while node is not None and node.last is not None:
            order.append(node.last)
            node = node.parent
        stuck = [each for place, each in enumerate(self._known) if not best.placed >> place & 1]
        there = "nothing" if best.state is None else best.state.hex()[:8] or "something"
        lines = [f"after {best.order} of {len(self._known)} operations {there} exists, and then nothing fits"]
        lines += [f"    ordered: {each}" for each in reversed(order[:8])]
        lines += [f"  to follow: {each}" for each in stuck[:8]]
        return "\n".join(lines)


def _fits(operation: Operation, state: _State) -> bool:
    match operation.kind, operation.outcome:
        case ("create", Outcome.DONE) | ("delete", Outcome.REFUSED) | ("exists", Outcome.ABSENT):
            return state is None
        case ("create", Outcome.REFUSED):
            return state is not None
        case ("delete", Outcome.DONE) | ("exists", Outcome.PRESENT):
            return state is not None and (not operation.value or state in (b"", operation.value))
    raise AssertionError(f"{operation.kind} cannot have the outcome {operation.outcome}")

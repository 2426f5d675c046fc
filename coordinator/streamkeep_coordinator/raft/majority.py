"""What a majority of voters has reached or said. Knows nothing of logs or terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum


class Verdict(Enum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


def majority(voters: int) -> int:
    return voters // 2 + 1


def reached_by_majority(values: Iterable[int]) -> int:
    """The greatest value that a majority has reached, given one value a voter; 0 if nobody votes."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2] if ordered else 0


def verdict(voters: Sequence[int], ballots: Mapping[int, bool]) -> Verdict:
    """Of an election; ballots of those who are no voters do not count."""
    granted = sum(ballots.get(voter, False) for voter in voters)
    if voters and granted >= majority(len(voters)):
        return Verdict.WON
    refused = sum(not ballots.get(voter, True) for voter in voters)
    return Verdict.LOST if len(voters) - refused < majority(len(voters)) else Verdict.OPEN

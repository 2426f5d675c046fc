from __future__ import annotations

from tests.sim.__main__ import shares


def test_the_seeds_asked_for_are_dealt_to_the_worlds_and_none_is_lost() -> None:
    assert shares(["quorum", "replication"], 0, 200) == {
        "quorum": range(100),
        "replication": range(100),
    }
    assert shares(["quorum", "replication"], 50, 3) == {
        "quorum": range(50, 52),
        "replication": range(50, 51),
    }
    assert shares(["quorum"], 7, 5) == {"quorum": range(7, 12)}
    assert shares(["quorum", "replication"], 0, 1) == {"quorum": range(1)}

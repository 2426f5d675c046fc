"""`--wait`: when it ends, on what it gives up, and what it does not wait for."""

from __future__ import annotations

import pytest

from streamctl.failures import ExitCode
from streamkeep_common.errors import (
    InvalidReplicaAssignmentError,
)
from tests.unit.cli.fake_admin import FakeAdmin, move, outcome, streamctl


def test_waiting_ends_when_all_is_moved(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome()]]
    admin.moves = [[move(), move("other")], [move("other")]]
    result = streamctl("partition", "reassign", "-p", "t:0=1,3", "--wait")
    assert result.exit_code == 0 and "All replicas are copied." in result.stderr


def test_waiting_gives_up_on_a_standstill_and_says_who_is_missing(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome()]]
    admin.moves = [[move()]]
    result = streamctl("partition", "reassign", "-p", "t:0=1,3", "--wait", "--timeout", "0.1")
    assert result.exit_code == ExitCode.UNAVAILABLE and "t-0 waits for broker 3" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["partition", "reassign", "-p", "t:0=1,3", "--wait"],
        ["topic", "alter", "t", "--replication-factor", "2", "--wait"],
    ],
)
def test_what_did_not_begin_is_not_waited_for(admin: FakeAdmin, command: list[str]) -> None:
    admin.outcomes = [[outcome(error=InvalidReplicaAssignmentError("no broker 9"))]]
    admin.moves = [[move("other")]]
    result = streamctl(*command, "--timeout", "0.1")
    assert result.exit_code == ExitCode.FAILED and "no broker 9" in result.stderr
    assert "All replicas are copied." not in result.stderr


def test_one_partition_that_cannot_be_moved_does_not_end_the_wait_for_the_others(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome(), outcome(partition=1, error=InvalidReplicaAssignmentError("no room"))]]
    admin.moves = [[move()], []]
    result = streamctl("topic", "alter", "t", "--replication-factor", "3", "--wait")
    assert result.exit_code == ExitCode.FAILED
    assert result.stderr.index("All replicas are copied.") < result.stderr.index("1 of 2 partitions")


def test_waiting_for_a_change_that_copies_nothing_is_a_usage_error(admin: FakeAdmin) -> None:
    result = streamctl("topic", "alter", "t", "--set", "retention_ms=1d", "--wait")
    assert result.exit_code == ExitCode.USAGE and "--replication-factor" in result.stderr
    assert not admin.asked

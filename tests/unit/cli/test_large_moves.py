"""More than one request or one message takes: each partition is asked for and told once, or it is refused."""

from __future__ import annotations

import pytest

from streamctl.failures import ExitCode
from streamkeep_common.errors import (
    InvalidReplicaAssignmentError,
)
from streamkeep_common.limits import MAX_MOVES_PER_REQUEST
from tests.unit.cli.fake_admin import FakeAdmin, outcome, streamctl


def test_of_a_large_topic_each_partition_is_told_once(admin: FakeAdmin) -> None:
    """One request moves 1000 partitions; those that cannot be moved are in the answer to each."""
    stuck = [outcome(partition=number, error=InvalidReplicaAssignmentError("full")) for number in range(10)]
    first = [outcome(partition=number) for number in range(10, MAX_MOVES_PER_REQUEST)]
    second = [outcome(partition=number) for number in range(MAX_MOVES_PER_REQUEST, MAX_MOVES_PER_REQUEST + 5)]
    admin.outcomes = [stuck + first, stuck + second]
    result = streamctl("topic", "alter", "t", "--replication-factor", "3")
    assert result.exit_code == ExitCode.FAILED
    assert f"10 of {MAX_MOVES_PER_REQUEST + 5} partitions cannot be moved" in result.stderr


def test_a_plan_of_which_nothing_can_be_moved_is_asked_for_once(admin: FakeAdmin) -> None:
    error = InvalidReplicaAssignmentError("full")
    admin.outcomes = [[outcome(partition=number, error=error) for number in range(MAX_MOVES_PER_REQUEST)]]
    assert streamctl("topic", "alter", "t", "--replication-factor", "3").exit_code == ExitCode.FAILED
    assert len(admin.asked) == 1


def test_a_dry_run_for_a_large_topic_says_that_more_may_follow(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome(partition=number) for number in range(MAX_MOVES_PER_REQUEST)]]
    result = streamctl("topic", "alter", "t", "--replication-factor", "3", "--dry-run")
    assert result.exit_code == 0 and "more may follow" in result.stderr and len(admin.asked) == 1


def test_all_moves_are_stopped_however_many_they_are(admin: FakeAdmin) -> None:
    first = [outcome(partition=number, copies=()) for number in range(MAX_MOVES_PER_REQUEST)]
    admin.outcomes = [first, [outcome(partition=MAX_MOVES_PER_REQUEST, copies=())]]
    result = streamctl("partition", "cancel", "--all")
    assert result.exit_code == 0 and f"Stopped {MAX_MOVES_PER_REQUEST + 1} moves." in result.stderr
    admin.outcomes = [first]
    assert "more may follow" in streamctl("partition", "cancel", "--all", "--dry-run").stderr


@pytest.mark.parametrize("option", ["--partitions", "--replication-factor"])
@pytest.mark.parametrize("verb", ["create", "alter"])
def test_more_than_fits_into_a_message_is_a_usage_error(admin: FakeAdmin, verb: str, option: str) -> None:
    assert streamctl("topic", verb, "t", option, "2147483648").exit_code == ExitCode.USAGE

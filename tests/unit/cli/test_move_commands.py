"""Moves of replicas: the plan that is shown, what is under way, what is stopped, what cannot be moved."""

from __future__ import annotations

import json

from streamctl.failures import ExitCode
from streamkeep_common.errors import (
    InvalidReplicaAssignmentError,
    UnknownPartitionError,
    UnknownTopicError,
    to_proto,
)
from streamkeep_proto.v1.broker_pb2 import LogDir
from streamkeep_proto.v1.coordinator_pb2 import ElectionOutcome, PartitionInfo, ReassignmentOutcome
from tests.unit.cli.fake_admin import T0, FakeAdmin, held, move, outcome, streamctl


def test_a_dry_run_shows_the_plan_and_the_bytes_to_move(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome()]]
    result = streamctl("partition", "reassign", "-p", "t:0=1,3", "--dry-run")
    assert result.exit_code == 0
    assert admin.asked == [("reassign", {("t", 0): (1, 3)}, {}, True)]
    assert "Would move 1 partition, copying 3.0 MiB." in result.stderr
    assert result.stdout.splitlines()[1].split() == ["t", "0", "1,2", "1,3", "3", "3.0", "MiB"]


def test_a_plan_has_the_documented_shape(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome()]]
    (item,) = json.loads(streamctl("partition", "reassign", "-p", "t:0=1,3", "-o", "json").stdout)
    assert item == {
        "topic": "t",
        "partition": 0,
        "from": [1, 2],
        "to": [1, 3],
        "copies": [3],
        "bytes": 3 * 2**20,
        "error": None,
    }


def test_what_cannot_be_moved_is_told_and_the_rest_is_moved(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome(), outcome(partition=1, error=InvalidReplicaAssignmentError("no broker 9"))]]
    result = streamctl("partition", "reassign", "-p", "t:0=1,3", "-p", "t:1=9")
    assert result.exit_code == ExitCode.FAILED
    assert "1 of 2 partitions cannot be moved; t:1: no broker 9" in result.stderr
    assert "ERROR" in result.stdout and "Moving 1 partition" in result.stderr


def test_a_change_of_directories_says_what_stays_behind(admin: FakeAdmin) -> None:
    admin.dirs = [LogDir(path="/b", directory_id=b"b" * 16)]
    admin.outcomes = [[outcome(before=[1, 2], after=[1, 2], copies=[2])]]
    result = streamctl("partition", "reassign", "-p", "t:0=1@any,2@/b")
    assert admin.asked[0][2] == {("t", 0): [b"", b"b" * 16]}
    assert "1 replica will be out of sync while copied" in result.stderr


def test_a_throttle_is_set_before_the_move_begins_and_said(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome()]]
    result = streamctl("partition", "reassign", "-p", "t:0=1,3", "--throttle", "10MiB")
    assert [each[0] for each in admin.asked] == ["reassign", "alter", "reassign"]
    assert admin.asked[1] == ("alter", "t", {"set": {"catch_up_rate_bytes": "10MiB"}})
    assert admin.asked[0][-1] and not admin.asked[2][-1]
    assert "--unset catch_up_rate_bytes" in result.stderr


def test_a_topic_of_which_nothing_was_changed_is_not_called_changed(admin: FakeAdmin) -> None:
    admin.topics = {"t": [PartitionInfo(partition=0)]}
    admin.outcomes = [[outcome(error=InvalidReplicaAssignmentError("too few brokers"))]]
    result = streamctl("topic", "alter", "t", "--replication-factor", "5")
    assert result.exit_code == ExitCode.FAILED and "Changed" not in result.stderr


def test_moves_under_way_show_how_much_is_copied(admin: FakeAdmin) -> None:
    admin.moves = [[move()]]
    admin.sizes = {T0: {1: held(1000), 3: held(250)}}
    (shown,) = json.loads(streamctl("partition", "reassignments", "-o", "json").stdout)
    assert (shown["adding"], shown["removing"], shown["target"]) == ([3], [2], [1, 3])
    assert (shown["copied_bytes"], shown["total_bytes"]) == (250, 1000)
    assert "25 % of 1000 B" in streamctl("partition", "reassignments", "t").stdout
    admin.sizes = {}
    assert streamctl("partition", "reassignments").stdout.splitlines()[1].endswith("-")


def test_cancel_names_partitions_or_says_all(admin: FakeAdmin) -> None:
    assert streamctl("partition", "cancel").exit_code == ExitCode.USAGE
    assert streamctl("partition", "cancel", "t:0", "--all").exit_code == ExitCode.USAGE
    admin.outcomes = [[outcome(copies=())]]
    result = streamctl("partition", "cancel", "t:0", "--dry-run")
    assert admin.asked == [("cancel", [("t", 0)], True)] and "Would stop 1 move." in result.stderr
    assert streamctl("partition", "cancel", "--all").exit_code == 0
    assert admin.asked[1] == ("cancel", [], False)


def unknown(partition: int = 0) -> ReassignmentOutcome:
    error = UnknownTopicError("there is no topic t")
    return ReassignmentOutcome(topic="t", partition=partition, error=to_proto(error))


def test_what_does_not_exist_is_exit_3_however_it_is_named(admin: FakeAdmin) -> None:
    admin.outcomes = [
        [unknown()],
        [unknown()],
        [unknown(), outcome(error=InvalidReplicaAssignmentError("no"))],
    ]
    assert streamctl("partition", "reassign", "-p", "t:0=1").exit_code == ExitCode.NOT_FOUND
    assert streamctl("partition", "cancel", "t:0").exit_code == ExitCode.NOT_FOUND
    assert streamctl("partition", "reassign", "-p", "t:0=1").exit_code == ExitCode.FAILED
    admin.elections = [ElectionOutcome(topic="t", error=to_proto(UnknownPartitionError("no t-0")))]
    assert streamctl("partition", "elect", "t:0").exit_code == ExitCode.NOT_FOUND

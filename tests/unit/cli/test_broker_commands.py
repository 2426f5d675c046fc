"""The broker commands over an admin that answers as told: words, shapes and exit codes."""

from __future__ import annotations

import json

import pytest

from streamctl.failures import ExitCode
from streamkeep_common.errors import (
    InvalidReplicaAssignmentError,
    ReassignmentInProgressError,
    UnavailableError,
)
from streamkeep_common.limits import MAX_MOVES_PER_REQUEST
from streamkeep_proto.v1.broker_pb2 import ONLINE, READ_ONLY, LogDir
from streamkeep_proto.v1.coordinator_pb2 import BrokerInfo
from tests.unit.cli.fake_admin import FakeAdmin, fake_cluster, held, outcome, streamctl


def broker(
    number: int, *, replicas: int = 0, fenced: bool = False, draining: bool = False, rack: str = ""
) -> BrokerInfo:
    return BrokerInfo(
        broker_id=number,
        broker_epoch=4,
        address=f"host-{number}:7201",
        fenced=fenced,
        draining=draining,
        replicas=replicas,
        leaders=replicas // 2,
        rack=rack,
    )


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> FakeAdmin:
    admin = FakeAdmin(brokers=[[broker(1, replicas=2), broker(2)]])
    fake_cluster(admin, monkeypatch)
    return admin


def test_brokers_are_listed_with_what_they_have(admin: FakeAdmin) -> None:
    admin.brokers = [[broker(1, replicas=6, rack="a"), broker(2, fenced=True, draining=True)]]
    first, second = json.loads(streamctl("broker", "list", "-o", "json").stdout)
    assert first == {
        "id": 1,
        "address": "host-1:7201",
        "state": "up",
        "draining": False,
        "rack": "a",
        "epoch": 4,
        "replicas": 6,
        "leaders": 3,
    }
    assert (second["state"], second["draining"], second["rack"]) == ("fenced", True, None)
    assert "fenced, draining" in streamctl("broker", "list").stdout


def test_a_broker_is_described_with_its_directories(admin: FakeAdmin) -> None:
    admin.dirs = [
        LogDir(path="/a", directory_id=b"a" * 16, state=ONLINE, free_bytes=2**30, replicas=[held(2**20)]),
        LogDir(path="/b", directory_id=b"b" * 16, state=READ_ONLY, reason="no space"),
    ]
    described = json.loads(streamctl("broker", "describe", "1", "-o", "json").stdout)
    assert [(each["path"], each["state"]) for each in described["log_dirs"]] == [
        ("/a", "online"),
        ("/b", "read-only"),
    ]
    assert described["log_dirs"][0]["used_bytes"] == 2**20
    shown = streamctl("broker", "describe", "1").stdout
    assert "1.0 GiB" in shown and "read-only: no space" in shown


def test_a_broker_that_does_not_answer_is_described_without_directories(admin: FakeAdmin) -> None:
    admin.dirs = UnavailableError("refused")
    result = streamctl("broker", "describe", "1")
    assert result.exit_code == 0 and "not known" in result.stderr


@pytest.mark.parametrize("verb", ["describe", "drain", "undrain", "decommission"])
def test_a_broker_that_does_not_exist_is_exit_3(admin: FakeAdmin, verb: str) -> None:
    result = streamctl("broker", verb, "9")
    assert result.exit_code == ExitCode.NOT_FOUND and "there are 1, 2" in result.stderr
    assert not [each for each in admin.asked if each[0] != "empty"]


def test_a_dry_drain_shows_the_plan_and_changes_nothing(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome(before=[1], after=[2], copies=[2])]]
    result = streamctl("broker", "drain", "1", "--dry-run")
    assert result.exit_code == 0 and "Would move 1 partition" in result.stderr
    assert "the others are on their way" in result.stderr
    assert admin.asked == [("empty", 1, True)]


def test_a_drain_marks_the_broker_moves_all_and_waits(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome()], [outcome()], []]
    admin.brokers = [[broker(1, replicas=2)], [broker(1, replicas=2)], [broker(1, replicas=1)], [broker(1)]]
    result = streamctl("broker", "drain", "1")
    assert result.exit_code == 0 and "Broker 1 is empty." in result.stderr
    assert admin.asked[:3] == [("empty", 1, True), ("drain", 1, True, False), ("empty", 1, False)]


def test_a_drain_without_waiting_begins_the_moves(admin: FakeAdmin) -> None:
    assert streamctl("broker", "drain", "1", "--no-wait").exit_code == 0
    assert [each[0] for each in admin.asked] == ["empty", "drain", "empty"]


def test_a_drain_without_waiting_begins_all_moves_of_a_full_broker(admin: FakeAdmin) -> None:
    first = [outcome(partition=number) for number in range(MAX_MOVES_PER_REQUEST)]
    admin.outcomes = [first, first, [outcome(partition=MAX_MOVES_PER_REQUEST)]]
    result = streamctl("broker", "drain", "1", "--no-wait")
    assert result.exit_code == 0 and f"Moving {MAX_MOVES_PER_REQUEST + 1} partitions" in result.stderr
    assert [each[0] for each in admin.asked] == ["empty", "drain", "empty", "empty"]


def test_a_drain_without_waiting_tells_what_it_could_not_begin(admin: FakeAdmin) -> None:
    moving = outcome(partition=1, error=ReassignmentInProgressError("moving"))
    admin.outcomes = [[outcome(), moving]]
    result = streamctl("broker", "drain", "1", "--no-wait")
    assert result.exit_code == ExitCode.FAILED
    assert "1 of 2 partitions cannot be moved; t:1: moving" in result.stderr


def test_a_dry_drain_that_shows_as_much_as_one_request_plans_says_that_more_may_follow(
    admin: FakeAdmin,
) -> None:
    admin.outcomes = [[outcome(partition=number) for number in range(MAX_MOVES_PER_REQUEST)]]
    assert "more may follow" in streamctl("broker", "drain", "1", "--dry-run").stderr
    admin.outcomes[0].pop()
    assert "more may follow" not in streamctl("broker", "drain", "1", "--dry-run").stderr


def test_a_dry_drain_fails_where_the_drain_does_and_counts_the_same(admin: FakeAdmin) -> None:
    moving = outcome(partition=1, error=ReassignmentInProgressError("moving"))
    admin.outcomes = [[outcome(), moving]]
    assert streamctl("broker", "drain", "1", "--dry-run").exit_code == 0
    admin.outcomes = [[outcome(), moving, outcome(partition=2, error=InvalidReplicaAssignmentError("full"))]]
    for arguments in (["--dry-run"], []):
        result = streamctl("broker", "drain", "1", *arguments)
        assert result.exit_code == ExitCode.FAILED
        assert "1 of 3 partitions cannot be moved; t:2: full" in result.stderr


def test_a_broker_whose_replicas_have_nowhere_to_go_is_not_drained(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome(error=InvalidReplicaAssignmentError("no room"))]]
    result = streamctl("broker", "drain", "1")
    assert result.exit_code == ExitCode.FAILED and "no room" in result.stderr
    assert admin.asked == [("empty", 1, True)]


def test_a_drain_waits_for_moves_of_others(admin: FakeAdmin) -> None:
    admin.outcomes = [[outcome(error=ReassignmentInProgressError("moving"))], []]
    admin.brokers = [[broker(1, replicas=2)], [broker(1, replicas=2)], [broker(1)]]
    assert streamctl("broker", "drain", "1").exit_code == 0


def test_a_drain_gives_up_on_a_standstill(admin: FakeAdmin) -> None:
    result = streamctl("broker", "drain", "1", "--timeout", "0.1")
    assert result.exit_code == ExitCode.UNAVAILABLE and "still has 2 replicas" in result.stderr


def test_an_undrained_broker_may_get_replicas_again(admin: FakeAdmin) -> None:
    assert "would get" in streamctl("broker", "undrain", "1", "--dry-run").stderr
    assert streamctl("broker", "undrain", "1").exit_code == 0
    assert admin.asked == [("drain", 1, False, True), ("drain", 1, False, False)]


def test_a_decommissioned_broker_is_emptied_then_stopped_then_forgotten(admin: FakeAdmin) -> None:
    admin.brokers = [
        [broker(2)],
        [broker(2)],
        [broker(2)],
        [broker(2)],
        [broker(2)],
        [broker(2, fenced=True)],
    ]
    result = streamctl("broker", "decommission", "2", "--yes")
    assert result.exit_code == 0, result.stderr
    empty, stop = result.stderr.index("is empty"), result.stderr.index("Stop broker 2 now")
    assert empty < stop < result.stderr.index("is no part of the cluster any more")
    assert admin.asked[-1] == ("remove", 2)


def test_a_broker_that_is_not_stopped_is_not_forgotten(admin: FakeAdmin) -> None:
    result = streamctl("broker", "decommission", "2", "--yes", "--timeout", "0.1")
    assert result.exit_code == ExitCode.UNAVAILABLE and "run this command again" in result.stderr
    assert "remove" not in [each[0] for each in admin.asked]

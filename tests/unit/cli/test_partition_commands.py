"""The partition commands over an admin that answers as told: words, shapes and exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from streamctl.failures import ExitCode
from streamctl.main import cli
from streamctl.partitions import size_text, state_words
from streamkeep import TopicPartition
from streamkeep.admin.replicas import Digest, ReplicaAnswer, VerifiedPartition
from streamkeep_common.errors import (
    CorruptLogError,
    ElectionNotNeededError,
    EligibleLeadersNotAvailableError,
    InvalidReplicaAssignmentError,
    UnavailableError,
    UnknownPartitionError,
    UnknownTopicError,
    to_proto,
)
from streamkeep_common.limits import MAX_MOVES_PER_REQUEST
from streamkeep_proto.v1.broker_pb2 import LogDir
from streamkeep_proto.v1.coordinator_pb2 import ElectionOutcome, PartitionInfo, ReassignmentOutcome
from tests.unit.cli.fake_admin import FakeAdmin, fake_cluster, held, move, outcome, streamctl

T0 = TopicPartition("t", 0)


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> FakeAdmin:
    admin = FakeAdmin(sizes={T0: {1: held(3 * 2**20), 2: held(2**20)}})
    fake_cluster(admin, monkeypatch)
    return admin


# --- reassign ---


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


def test_a_plan_file_of_kafka_s_is_read(admin: FakeAdmin, tmp_path: Path) -> None:
    partitions = [
        {"topic": "t", "partition": 0, "replicas": [1, 3], "log_dirs": ["any", "/b"]},
        {"topic": "t", "partition": 1, "replicas": [2]},
    ]
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"version": 1, "partitions": partitions}))
    admin.dirs = [LogDir(path="/a", directory_id=b"a" * 16), LogDir(path="/b", directory_id=b"b" * 16)]
    streamctl("partition", "reassign", "--plan", str(path))
    ((_, replicas, directories, _),) = admin.asked
    assert replicas == {("t", 0): (1, 3), ("t", 1): (2,)}
    assert directories == {("t", 0): [b"", b"b" * 16]}


def planned(**changed: object) -> str:
    return json.dumps({"partitions": [{"topic": "t", "partition": 0, "replicas": [1, 2]} | changed]})


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"partitions": [{"topic": "t"}]}', '{"partitions": 1}'),
        *(
            planned(replicas="12"),
            planned(replicas=[1.9]),
            planned(replicas=[2**31]),
            planned(replicas=[None]),
        ),
        *(planned(partition=True), planned(partition=-1), planned(topic=None), planned(log_dirs=[1, 2])),
    ],
)
def test_a_file_that_is_no_plan_is_refused(admin: FakeAdmin, tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    result = streamctl("partition", "reassign", "--plan", str(path))
    assert result.exit_code == ExitCode.USAGE and "is not a plan" in result.stderr and not admin.asked


@pytest.mark.parametrize(
    "text", ["t:0", "t=1", "t:x=1", "t:0=", "t:0=a", ":0=1", "t:2147483648=1", "t:0=2147483648", "t:0=\u0663"]
)
def test_a_target_that_cannot_be_read_is_refused(admin: FakeAdmin, text: str) -> None:
    assert streamctl("partition", "reassign", "-p", text).exit_code == ExitCode.USAGE
    assert not admin.asked


def test_of_two_targets_for_one_partition_none_is_taken(admin: FakeAdmin, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(planned())
    for arguments in (["-p", "t:0=1", "-p", "t:0=2"], ["-p", "t:0=1", "--plan", str(path)]):
        result = streamctl("partition", "reassign", *arguments)
        assert result.exit_code == ExitCode.USAGE and "t:0 is named twice" in result.stderr
    path.write_text(json.dumps({"partitions": json.loads(planned())["partitions"] * 2}))
    assert "named twice" in streamctl("partition", "reassign", "--plan", str(path)).stderr
    assert not admin.asked


@pytest.mark.parametrize("option", ["--partitions", "--replication-factor"])
@pytest.mark.parametrize("verb", ["create", "alter"])
def test_more_than_fits_into_a_message_is_a_usage_error(admin: FakeAdmin, verb: str, option: str) -> None:
    assert streamctl("topic", verb, "t", option, "2147483648").exit_code == ExitCode.USAGE


def test_nothing_to_move_is_a_usage_error(admin: FakeAdmin) -> None:
    assert streamctl("partition", "reassign").exit_code == ExitCode.USAGE


def test_a_directory_that_a_broker_has_not_is_exit_3(admin: FakeAdmin) -> None:
    admin.dirs = [LogDir(path="/a", directory_id=b"a" * 16)]
    result = streamctl("partition", "reassign", "-p", "t:0=1@/x,2")
    assert result.exit_code == ExitCode.NOT_FOUND and "it has /a" in result.stderr
    streamctl("partition", "reassign", "-p", f"t:0=1@{(b'a' * 16).hex()},2")
    assert admin.asked[-1][2] == {("t", 0): [b"a" * 16, b""]}


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


def test_a_topic_of_which_nothing_was_changed_is_not_called_changed(admin: FakeAdmin) -> None:
    admin.topics = {"t": [PartitionInfo(partition=0)]}
    admin.outcomes = [[outcome(error=InvalidReplicaAssignmentError("too few brokers"))]]
    result = streamctl("topic", "alter", "t", "--replication-factor", "5")
    assert result.exit_code == ExitCode.FAILED and "Changed" not in result.stderr


# --- what is under way ---


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


def test_all_moves_are_stopped_however_many_they_are(admin: FakeAdmin) -> None:
    first = [outcome(partition=number, copies=()) for number in range(MAX_MOVES_PER_REQUEST)]
    admin.outcomes = [first, [outcome(partition=MAX_MOVES_PER_REQUEST, copies=())]]
    result = streamctl("partition", "cancel", "--all")
    assert result.exit_code == 0 and f"Stopped {MAX_MOVES_PER_REQUEST + 1} moves." in result.stderr
    admin.outcomes = [first]
    assert "more may follow" in streamctl("partition", "cancel", "--all", "--dry-run").stderr


# --- elect ---


def elected(partition: int = 0) -> ElectionOutcome:
    return ElectionOutcome(topic="t", partition=partition, from_leader=2, to_leader=1)


def test_an_election_that_is_not_needed_is_no_failure_and_one_that_fails_is(admin: FakeAdmin) -> None:
    already = ElectionOutcome(topic="t", partition=1, error=to_proto(ElectionNotNeededError("leads already")))
    admin.elections = [elected(), already]
    result = streamctl("partition", "elect", "t")
    assert result.exit_code == 0 and "Elected 1 leader." in result.stderr
    assert "leads already" in result.stdout
    nobody = ElectionOutcome(
        topic="t", partition=1, error=to_proto(EligibleLeadersNotAvailableError("nobody lives"))
    )
    admin.elections = [nobody]
    result = streamctl("partition", "elect", "t:1")
    assert result.exit_code == ExitCode.FAILED and "nobody lives" in result.stderr


def test_a_topic_stands_for_all_its_partitions(admin: FakeAdmin) -> None:
    admin.topics = {"t": [PartitionInfo(partition=0), PartitionInfo(partition=1)]}
    streamctl("partition", "elect", "t", "u:7")
    streamctl("partition", "elect")
    assert [each[1] for each in admin.asked] == [[("t", 0), ("t", 1), ("u", 7)], []]


def test_records_are_lost_only_by_name_and_with_yes(admin: FakeAdmin) -> None:
    assert streamctl("partition", "elect", "--unclean", "--yes").exit_code == ExitCode.USAGE
    refused = streamctl("partition", "elect", "--unclean", "t:0")
    assert refused.exit_code == ExitCode.USAGE and "--yes" in refused.stderr and not admin.asked
    admin.elections = [elected()]
    assert streamctl("partition", "elect", "--unclean", "t:0", "--yes").exit_code == 0
    assert admin.asked == [("elect", [("t", 0)], True, False)]


# --- verify ---


def compared(answers: dict[int, ReplicaAnswer]) -> VerifiedPartition:
    return VerifiedPartition(T0, 1, 0, 100, answers)


def digest(text: bytes) -> Digest:
    return Digest(0, 100, 5_000, text * 32)


def test_identical_replicas_are_exit_0(admin: FakeAdmin) -> None:
    admin.verified = [compared({1: digest(b"a"), 2: digest(b"a")})]
    result = streamctl("partition", "verify", "t", "-o", "json")
    (item,) = json.loads(result.stdout)
    assert result.exit_code == 0 and item["identical"] and item["to_offset"] == 100
    assert item["replicas"][0] == {"broker": 1, "sha256": (b"a" * 32).hex(), "size_bytes": 5_000}


def test_replicas_that_differ_are_named_and_exit_1(admin: FakeAdmin) -> None:
    admin.verified = [compared({1: digest(b"a"), 2: digest(b"b"), 3: digest(b"b")})]
    result = streamctl("partition", "verify")
    assert result.exit_code == ExitCode.FAILED
    assert "replicas differ: t-0 on 2,3" in result.stderr and "2,3 differ" in result.stdout


def test_without_the_leader_the_most_are_right(admin: FakeAdmin) -> None:
    gone = UnavailableError("refused")
    admin.verified = [compared({1: gone, 2: digest(b"a"), 3: digest(b"b"), 4: digest(b"b")})]
    result = streamctl("partition", "verify")
    assert result.exit_code == ExitCode.FAILED and "t-0 on 2" in result.stderr
    assert "2 differ, 1 did not answer" in result.stdout


def test_a_broker_that_does_not_answer_is_exit_4(admin: FakeAdmin) -> None:
    admin.verified = [compared({1: digest(b"a"), 2: UnavailableError("refused")})]
    result = streamctl("partition", "verify")
    assert result.exit_code == ExitCode.UNAVAILABLE and "t-0 on 2" in result.stderr


def test_a_broker_that_answers_is_not_called_silent(admin: FakeAdmin) -> None:
    """A damaged replica is found out by being compared, and copied anew."""
    damaged, absent = CorruptLogError("0.log, byte 7: wrong"), UnknownPartitionError("no t-0 here")
    admin.verified = [compared({1: digest(b"a"), 2: damaged, 3: absent})]
    result = streamctl("partition", "verify")
    assert result.exit_code == ExitCode.FAILED
    assert "2 is damaged, 3 has no replica" in result.stdout
    assert "damaged, and are copied anew where others have the same: t-0 on 2" in result.stderr
    admin.verified = [compared({1: digest(b"a"), 3: absent})]
    result = streamctl("partition", "verify")
    assert result.exit_code == ExitCode.UNAVAILABLE and "t-0 on 3: no t-0 here" in result.stderr


def test_a_replica_that_was_damaged_during_the_check_is_told_though_all_are_identical_now(
    admin: FakeAdmin,
) -> None:
    mended = replace(compared({1: digest(b"a"), 2: digest(b"a")}), seen_wrong=(2,))
    admin.verified = [mended]
    result = streamctl("partition", "verify")
    assert result.exit_code == 0 and "identical; 2 was damaged or differed" in result.stdout
    assert "damaged or differed during this check, and are not wrong now: t-0 on 2" in result.stderr
    assert "All replicas of 1 partition are identical." in result.stderr
    (item,) = json.loads(streamctl("partition", "verify", "-o", "json").stdout)
    assert item["identical"] and item["wrong_before"] == [2]
    absent = UnavailableError("refused")
    admin.verified = [replace(mended, replicas={1: digest(b"a"), 2: absent})]
    result = streamctl("partition", "verify")
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "2 did not answer; 2 was damaged or differed" in result.stdout


# --- words ---


@pytest.mark.parametrize(
    ("partition", "words"),
    [
        (PartitionInfo(leader=1, replicas=[1, 2, 3], isr=[1, 2, 3]), "ok"),
        (PartitionInfo(leader=1, replicas=[1, 2, 3], isr=[1, 2]), "under-replicated"),
        (PartitionInfo(leader=1, replicas=[1, 2, 3], isr=[1]), "under min ISR"),
        (PartitionInfo(replicas=[1, 2, 3]), "no leader"),
        (PartitionInfo(replicas=[1, 2, 3], elr=[1, 2]), "no leader, waits for brokers 1, 2"),
        (PartitionInfo(replicas=[1, 2, 3], last_members=[3]), "no leader, waits for broker 3"),
        (PartitionInfo(replicas=[1, 2, 3], elr=[1], last_members=[2]), "no leader, waits for broker 1"),
        (PartitionInfo(leader=1, replicas=[1], isr=[1]), "ok"),
        (
            PartitionInfo(
                leader=1, replicas=[1, 3, 2], isr=[1, 2], adding_replicas=[3], removing_replicas=[2]
            ),
            "adds 3; removes 2",
        ),
    ],
)
def test_what_ails_a_partition_is_said_and_what_is_only_being_added_does_not(
    partition: PartitionInfo, words: str
) -> None:
    assert state_words(partition, 2) == words


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**40 * 5000, "5000.0 TiB")]
)
def test_sizes_are_said_in_units(size: int, text: str) -> None:
    assert size_text(size) == text


# --- completion ---


def completed(*words: str) -> list[str]:
    *before, last = words
    return [each.value for each in ShellComplete(cli, {}, "streamctl", "_X").get_completions(before, last)]


def test_the_shell_completes_live_names(admin: FakeAdmin) -> None:
    admin.topics = {"flights": [PartitionInfo(), PartitionInfo()], "fares": [PartitionInfo()]}
    assert completed("topic", "describe", "fl") == ["flights"]
    assert completed("partition", "cancel", "flights:") == ["flights:0", "flights:1"]
    assert completed("partition", "verify", "f") == ["flights", "fares"]


def test_a_cluster_that_does_not_answer_completes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object) -> object:
        raise UnavailableError("nobody")

    monkeypatch.setattr("streamctl.cluster.ask", ask)
    assert completed("topic", "describe", "f") == []

"""`partition verify`: which replica is said to be wrong, damaged, absent or silent, and the exit code."""

from __future__ import annotations

import json
from dataclasses import replace

from streamctl.failures import ExitCode
from streamkeep.admin.replicas import Digest, ReplicaAnswer, VerifiedPartition
from streamkeep_common.errors import (
    CorruptLogError,
    UnavailableError,
    UnknownPartitionError,
)
from tests.unit.cli.fake_admin import T0, FakeAdmin, streamctl


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

"""What `partition reassign` takes for a plan and a target, and what it refuses before anything is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamctl.failures import ExitCode
from streamkeep_proto.v1.broker_pb2 import LogDir
from tests.unit.cli.fake_admin import FakeAdmin, streamctl


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


def test_nothing_to_move_is_a_usage_error(admin: FakeAdmin) -> None:
    assert streamctl("partition", "reassign").exit_code == ExitCode.USAGE


def test_a_directory_that_a_broker_has_not_is_exit_3(admin: FakeAdmin) -> None:
    admin.dirs = [LogDir(path="/a", directory_id=b"a" * 16)]
    result = streamctl("partition", "reassign", "-p", "t:0=1@/x,2")
    assert result.exit_code == ExitCode.NOT_FOUND and "it has /a" in result.stderr
    streamctl("partition", "reassign", "-p", f"t:0=1@{(b'a' * 16).hex()},2")
    assert admin.asked[-1][2] == {("t", 0): [b"a" * 16, b""]}

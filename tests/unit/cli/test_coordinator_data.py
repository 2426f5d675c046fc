"""The commands that read or recover a coordinator's directory while its process does not run."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamctl.failures import ExitCode
from streamctl.main import cli
from streamkeep_common.seams.real.disk import RealDisk
from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.hard_state import HardState
from streamkeep_coordinator.storage.storage import Storage
from streamkeep_proto.v1.metadata_pb2 import (
    MetadataEntry,
    MetadataRecord,
    NoOpRecord,
    QuorumMember,
    QuorumRecord,
    TopicRecord,
)
from streamkeep_proto.v1.raft_pb2 import RaftEntry

CLUSTER_ID = "c" * 22
SEGMENT = "log-00000000000000000001.wal"
ENTRIES = 5


def entry(index: int, *records: MetadataRecord, quorum: QuorumRecord | None = None) -> RaftEntry:
    data = MetadataEntry(index=index, term=2, time_ms=1_357_034_400_000, records=records)
    return RaftEntry(index=index, term=2, data=data.SerializeToString(), quorum=quorum)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Of coordinator 2 of three, which knows that 4 of its 5 entries are committed."""
    disk, path = RealDisk(), tmp_path / "coordinator-2"
    directory = DataDirectory(disk, path, random.Random(1))
    directory_id = directory.open(2).directory_id
    quorum = QuorumRecord(
        cluster_epoch=1,
        members=[
            QuorumMember(
                coordinator_id=number,
                directory_id=directory_id if number == 2 else bytes([number]) * 16,
                address=f"host{number}:7101",
                voter=True,
            )
            for number in (1, 2, 3)
        ],
    )
    storage = Storage(disk, path)
    storage.recover()
    storage.write(
        hard_state=HardState(2, 1, 0), entries=[entry(1, MetadataRecord(quorum=quorum), quorum=quorum)]
    )
    directory.format(CLUSTER_ID, 1)
    topics = [
        MetadataRecord(topic=TopicRecord(topic_id=bytes(16), name=f"Zürich-{number}")) for number in (1, 2)
    ]
    storage.write(hard_state=HardState(2, 1, 4), entries=[entry(2, *topics), *map(no_op, (3, 4, 5))])
    storage.close()
    directory.close()
    return path


def no_op(index: int) -> RaftEntry:
    return entry(index, MetadataRecord(no_op=NoOpRecord()))


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def dump(data_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["coordinator", "log", "dump", str(data_dir), *options])


def recover(data_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["coordinator", "recover", "--data-dir", str(data_dir), *options])


def test_dump_shows_identity_entries_and_votes_with_file_and_byte(data_dir: Path) -> None:
    result = dump(data_dir)
    assert result.exit_code == 0 and not result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("identity.json byte 0: coordinator 2, directory ")
    assert f"of cluster {CLUSTER_ID} in epoch 1" in lines[0]
    assert f"{SEGMENT} byte 0: follows entry 0, generation 0; " in result.stdout
    assert "entry 2 of term 2, proposed 2013-01-01T10:00:00.000+00:00: topic x 2" in result.stdout
    assert "term 2, vote for 1, committed up to 4" in result.stdout
    assert "Zürich" not in result.stdout and 'name: "Zürich-1"' in dump(data_dir, "--records").stdout


def test_dump_as_json_is_a_line_for_each_thing(data_dir: Path) -> None:
    items = [json.loads(line) for line in dump(data_dir, "-o", "json", "--records").stdout.splitlines()]
    assert {item["kind"] for item in items} == {"identity", "start", "entry", "hard_state", "seal", "mark"}
    entries = [item for item in items if item["kind"] == "entry"]
    assert [item["index"] for item in entries] == [1, 2, 3, 4, 5]
    assert entries[1]["records"] == {"topic": 2}
    assert [record["topic"]["name"] for record in entries[1]["content"]] == ["Zürich-1", "Zürich-2"]
    assert entries[0]["byte"] + entries[0]["size"] <= entries[1]["byte"]


def test_dump_names_damage_by_file_and_byte_goes_on_behind_it_and_fails(data_dir: Path) -> None:
    items = [json.loads(line) for line in dump(data_dir, "-o", "json").stdout.splitlines()]
    (second,) = [item for item in items if item["kind"] == "entry" and item["index"] == 2]
    flip(data_dir / SEGMENT, second["byte"] + second["size"] - 1)
    result = dump(data_dir)
    assert result.exit_code == ExitCode.FAILED
    assert f"{SEGMENT} byte {second['byte']}: " in result.stderr and "1 damaged place" in result.stderr
    assert "entry 3 of term 2" in result.stdout and "entry 2 of term 2" not in result.stdout
    kinds = [json.loads(line)["kind"] for line in dump(data_dir, "-o", "json").stdout.splitlines()]
    assert kinds.count("damage") == 1


def test_an_unfinished_write_at_the_end_is_no_damage(data_dir: Path) -> None:
    with (data_dir / SEGMENT).open("ab") as file:
        file.write(b"SWL1")
    result = dump(data_dir)
    assert result.exit_code == 0 and "an unfinished write of 4 bytes" in result.stdout


def test_a_directory_that_is_no_coordinators_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    result = dump(tmp_path)
    assert result.exit_code == ExitCode.USAGE and "nothing of a coordinator's" in result.stderr


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_recovery_is_told_before_it_is_done_and_a_dry_run_changes_nothing(data_dir: Path) -> None:
    before = contents(data_dir)
    result = recover(data_dir, "--force-new-cluster", "--dry-run", "-o", "json")
    planned = json.loads(result.stdout)
    assert result.exit_code == 0 and "Nothing was changed" in result.stderr
    assert (planned["cluster_id"], planned["cluster_epoch"], planned["coordinator_id"]) == (CLUSTER_ID, 2, 2)
    assert (planned["address"], planned["term"], planned["uncommitted"]) == ("host2:7101", 3, 1)
    assert [member["id"] for member in planned["lost"]] == [1, 3]
    assert "Coordinator 3 at host3:7101 is given up" in result.stderr
    assert {name: before[name] for name in before if name != "lock"} == {
        name: content for name, content in contents(data_dir).items() if name != "lock"
    }


def test_recovery_is_done_once_it_was_said_three_times(data_dir: Path) -> None:
    assert "say --force-new-cluster" in recover(data_dir, "--yes").stderr
    asked = recover(data_dir, "--force-new-cluster")
    assert asked.exit_code == ExitCode.USAGE and "say --yes" in asked.stderr
    done = recover(data_dir, "--force-new-cluster", "--yes", "--address", "new:7101")
    assert done.exit_code == 0 and "is the only one of cluster" in done.stderr
    lines = [json.loads(line) for line in dump(data_dir, "-o", "json", "--records").stdout.splitlines()]
    assert lines[0]["cluster_epoch"] == 2
    (last,) = [item for item in lines if item["kind"] == "entry" and item["index"] == ENTRIES + 1]
    (member,) = last["content"][0]["quorum"]["members"]
    assert (member["coordinator_id"], member["address"], last["term"]) == (2, "new:7101", 3)


def test_recovery_refuses_a_directory_that_a_coordinator_uses(data_dir: Path) -> None:
    directory = DataDirectory(RealDisk(), data_dir, random.Random(2))
    directory.open(2)
    result = recover(data_dir, "--force-new-cluster", "--yes")
    directory.close()
    assert result.exit_code == ExitCode.FAILED and "in use by another coordinator" in result.stderr


def test_recovery_refuses_damage(data_dir: Path) -> None:
    flip(data_dir / SEGMENT, 200)
    result = recover(data_dir, "--force-new-cluster", "--yes")
    assert result.exit_code == ExitCode.FAILED and f"{SEGMENT} is damaged at byte" in result.stderr

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamctl.failures import ExitCode
from streamctl.main import cli
from streamkeep_common.records import Codec, encode_batch, stamp

BATCHES = 3
RECORDS = 4


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """Three batches of four records as a broker writes them."""
    path = tmp_path / "00000000000000000000.log"
    with path.open("wb") as file:
        for number in range(BATCHES):
            batch = encode_batch(
                values=[b"value-%d" % index for index in range(RECORDS)],
                keys=[b"\xff", None, b"k", b""],
                timestamps_ms=1_357_034_400_000,
                headers={1: [("origin", b"EWR")]},
                codec=Codec.ZSTD,
                producer_id=7,
                producer_epoch=0,
                base_sequence=number * RECORDS,
            )
            header = stamp(
                batch,
                batch.records,
                base_offset=number * RECORDS,
                leader_epoch=1,
                append_time_ms=1_357_034_400_500,
                log_append_time=False,
            )
            file.write(header + batch.records)
    return path


def damaged(segment: Path) -> Path:
    """One bit is flipped in the records of the second batch."""
    content = bytearray(segment.read_bytes())
    content[len(content) // BATCHES + 110] ^= 1
    segment.write_bytes(content)
    return segment


def test_dump_shows_each_batch_with_its_position(segment: Path) -> None:
    result = CliRunner().invoke(cli, ["log", "dump", str(segment)])
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == BATCHES
    size = segment.stat().st_size // BATCHES
    assert lines[1].startswith(f"byte {size}: offsets 4..7, 4 records, ")
    assert "zstd, epoch 1, producer 7/0 sequence 4, appended 2013-01-01T10:00:00.500+00:00" in lines[1]


def test_dump_as_json_is_exact_for_any_bytes(segment: Path) -> None:
    result = CliRunner().invoke(cli, ["log", "dump", str(segment), "--records", "-o", "json"])
    batches = [json.loads(line) for line in result.stdout.splitlines()]
    assert [batch["base_offset"] for batch in batches] == [0, 4, 8]
    first, second, third, fourth = batches[0]["content"]
    assert first["key_base64"] == "/w==" and first["value"] == "value-0" and first["headers"] == []
    assert second["key"] is None and second["headers"] == [{"name": "origin", "value": "EWR"}]
    assert third["key"] == "k" and fourth["key"] == "" and fourth["offset"] == 3


def test_dump_goes_on_behind_a_damaged_batch_and_fails(segment: Path) -> None:
    result = CliRunner().invoke(cli, ["log", "dump", str(damaged(segment)), "-o", "json"])
    assert result.exit_code == ExitCode.FAILED
    assert [json.loads(line)["base_offset"] for line in result.stdout.splitlines()] == [0, 8]
    assert f"byte {segment.stat().st_size // BATCHES}, offset 4" in result.stderr


def test_verify_is_quiet_about_a_good_segment(segment: Path) -> None:
    result = CliRunner().invoke(cli, ["log", "verify", str(segment)])
    assert result.exit_code == 0 and not result.stdout and "Nothing is wrong" in result.stderr


def test_verify_names_file_and_byte_of_a_damage(segment: Path) -> None:
    result = CliRunner().invoke(cli, ["log", "verify", str(damaged(segment)), "-o", "json"])
    assert result.exit_code == ExitCode.FAILED
    (finding,) = json.loads(result.stdout)
    assert finding["path"] == str(segment) and finding["offset"] == 4
    assert finding["position"] == segment.stat().st_size // BATCHES
    table = CliRunner().invoke(cli, ["log", "verify", str(segment)])
    assert str(segment) in table.stdout and "1 damaged place" in table.stderr


def test_verify_looks_into_directories(segment: Path) -> None:
    damaged(segment)
    result = CliRunner().invoke(cli, ["log", "verify", str(segment.parent), "-o", "json"])
    assert result.exit_code == ExitCode.FAILED
    assert str(segment) in {finding["path"] for finding in json.loads(result.stdout)}


@pytest.mark.parametrize("command", ["dump", "verify"])
def test_a_file_that_is_no_segment_is_a_usage_error(command: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    result = CliRunner().invoke(cli, ["log", command, str(path)])
    assert result.exit_code == ExitCode.USAGE and "is not a segment" in result.stderr

"""`log verify` names what is wrong, with file and byte, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamkeep_broker.log.verify import Finding, StoredBatch, read_segment, verify_path
from streamkeep_common.records import decode_batch
from tests.unit.broker.log.logs import (
    PATH,
    VALUES,
    segment_files,
    stopped,
)


def test_a_good_log_has_no_findings_from_any_directory_above() -> None:
    disk, _ = stopped()
    assert list(verify_path(disk, PATH)) == []
    assert list(verify_path(disk, Path("/"))) == []
    assert list(verify_path(disk, segment_files(disk)[0])) == []


def test_a_segment_is_read_batch_by_batch_with_positions() -> None:
    disk, _ = stopped()
    items = [item for path in segment_files(disk) for item in read_segment(disk, path)]
    assert all(isinstance(item, StoredBatch) for item in items)
    batches = [item.batch for item in items if isinstance(item, StoredBatch)]
    assert [value for batch in batches for value in decode_batch(batch).values] == VALUES
    assert items[0].position == 0


def test_a_file_that_is_no_segment_is_refused() -> None:
    disk, _ = stopped()
    with pytest.raises(ValueError, match="is not a segment"):
        list(verify_path(disk, PATH / "leader-epochs"))


def test_a_torn_end_is_a_finding() -> None:
    disk, _ = stopped()
    path = segment_files(disk)[-1]
    disk.cut_short(path, lost_bytes=1)
    (finding,) = verify_path(disk, path)
    assert finding.offset == 39
    assert "1 bytes of the frame are missing" in str(finding)


def test_a_missing_segment_is_a_finding() -> None:
    disk, _ = stopped()
    missing = segment_files(disk)[1]
    disk.remove_file(missing)
    findings = [finding for finding in verify_path(disk, PATH) if finding.offset is not None]
    assert [finding.offset for finding in findings] == [int(missing.stem)]


@pytest.mark.parametrize("suffix", [".index", ".timeindex", ".snapshot", "leader-epochs"])
def test_damage_beside_the_segments_is_a_finding_about_no_record(suffix: str) -> None:
    disk, _ = stopped()
    path = next(PATH / name for name in disk.list_directory(PATH) if name.endswith(suffix))
    file = disk.open(path)
    file.append([b"\nmore\n"])
    file.close()
    findings = list(verify_path(disk, PATH))
    assert findings, path
    assert all(finding.offset is None for finding in findings)
    assert all(isinstance(finding, Finding) and "rebuilds it" in finding.problem for finding in findings)

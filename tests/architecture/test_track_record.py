"""The record of faults names the tests that hold them; a test that was renamed or removed shows here."""

from __future__ import annotations

import re

from tests.architecture.source import ROOT

RECORD = ROOT / "docs" / "track-record.md"


def test_every_test_that_the_record_names_is_there() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    there = set(re.findall(r"def (test_\w+)", "\n".join(texts)))
    named = set(re.findall(r"`(test_\w+)`", RECORD.read_text(encoding="utf-8")))
    assert len(named) > 100, "the record was not read"
    assert named - there == set()

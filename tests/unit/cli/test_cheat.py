"""The worked examples are right: each is read by the commands that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamctl.cheat.pages import PAGES
from streamctl.failures import ExitCode
from tests.unit.cli.command_tree import calls_of, parse
from tests.unit.cli.fake_admin import streamctl

EXAMPLES = [example.command for page in PAGES.values() for example in page.examples]


@pytest.mark.parametrize("command", EXAMPLES)
def test_every_example_is_a_line_that_streamctl_reads(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lines.txt", "moves.json", "segment.log"):
        (tmp_path / name).touch()
    (tmp_path / "log-dir").mkdir()
    monkeypatch.chdir(tmp_path)
    calls = calls_of(command)
    assert calls, "no streamctl in it"
    for arguments in calls:
        parse(arguments)


def test_a_page_shows_what_is_done_and_how() -> None:
    shown = streamctl("cheat", "offset", "bench")
    assert "Where yesterday begins\n  streamctl offset list flights --at @-1d" in shown.stdout
    assert "streamctl bench latency" in shown.stdout
    assert streamctl("cheat", "-o", "name").stdout.split() == list(PAGES)


def test_an_unknown_page_offers_the_nearest() -> None:
    result = streamctl("cheat", "topics")
    assert result.exit_code == ExitCode.NOT_FOUND and "did you mean 'topic'?" in result.stderr

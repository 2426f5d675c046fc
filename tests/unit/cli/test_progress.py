"""How long `produce --file` goes on: drawn for a person who watches, and for nobody else."""

from __future__ import annotations

import re

import pytest

from streamctl.progress import bytes_bar

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_the_bar_has_bytes_and_time_left_and_fits_into_40_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("streamctl.progress.is_colourful", lambda _stream: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with bytes_bar(3_000_000_000) as advance:
        advance(1_500_000_000)
    drawn = [_ESCAPES.sub("", line) for line in re.split(r"[\r\n]+", capsys.readouterr().err)]
    assert max(map(len, drawn)) <= 40
    assert any("1.5/3.0 GB" in line for line in drawn), drawn
    assert any(re.search(r"--:--|\d+:\d\d", line) for line in drawn), drawn


@pytest.mark.parametrize("total_bytes", [None, 0, 5])
def test_nothing_is_drawn_into_a_pipe_nor_of_an_unknown_size(
    capsys: pytest.CaptureFixture[str], total_bytes: int | None
) -> None:
    with bytes_bar(total_bytes) as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")

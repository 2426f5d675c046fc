"""Commands that `dev` advises can be typed as they stand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streamctl.dev.hints import data_dir_option, typed
from streamctl.dev.store import default_data_dir


def test_a_command_is_called_as_it_was_where_the_shell_does_not_find_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/streamctl", "dev"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert typed("topic list") == "`.venv/bin/streamctl topic list`"
    (tmp_path / "streamctl").touch(mode=0o755)
    assert typed("topic list") == "`streamctl topic list`"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/python", "-c"])
    monkeypatch.setenv("PATH", "")
    assert typed("topic list") == "`streamctl topic list`"


def test_the_default_directory_needs_no_option() -> None:
    assert data_dir_option(default_data_dir()) == ""
    assert data_dir_option(Path("/a b")) == " --data-dir '/a b'"

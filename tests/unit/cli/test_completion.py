"""Completion: what the shell is given, and how little is loaded for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamctl.failures import CommandError
from streamkeep_common.errors import UnavailableError
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo
from tests.unit.cli.fake_admin import FakeAdmin, fake_cluster, streamctl


def complete(*words: str) -> list[str]:
    """What bash is told for the last word."""
    from click.testing import CliRunner

    from streamctl.main import cli

    environment = {
        "_STREAMCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("streamctl", *words)),
        "COMP_CWORD": str(len(words)),
    }
    result = CliRunner().invoke(cli, env=environment, prog_name="streamctl")
    return [line.partition(",")[2] for line in result.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("shell", "says"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --")]
)
def test_each_shell_gets_a_script_that_names_the_command(shell: str, says: str) -> None:
    result = streamctl("completion", shell)
    assert result.exit_code == 0
    assert says in result.stdout and f"_STREAMCTL_COMPLETE={shell}_complete" in result.stdout


def test_names_are_live(monkeypatch: pytest.MonkeyPatch) -> None:
    topics = {"flights": [PartitionInfo()] * 2, "fares": [PartitionInfo()], "weather": []}
    fake_cluster(FakeAdmin(topics=topics), monkeypatch)
    assert complete("topic", "describe", "f") == ["flights", "fares"]
    assert complete("partition", "verify", "f") == ["flights", "fares"]
    assert complete("partition", "cancel", "flights:") == ["flights:0", "flights:1"]
    assert complete("records", "co") == ["count"]
    assert complete("config", "describe", "topic", "retention") == ["retention_ms", "retention_bytes"]


def test_contexts_are_completed_after_the_option_too() -> None:
    streamctl("context", "add", "prod", "a:1")
    assert complete("context", "use", "p") == ["prod"]
    assert complete("topic", "list", "--context", "p") == ["prod"]


@pytest.mark.parametrize("error", [CommandError("no context"), UnavailableError("nobody answers")])
def test_whatever_goes_wrong_is_no_completion(
    monkeypatch: pytest.MonkeyPatch, config_home: Path, error: Exception
) -> None:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr("streamctl.cluster.ask", fail)
    assert complete("topic", "describe", "f") == []
    (config_home / "streamkeep").mkdir(parents=True)
    (config_home / "streamkeep" / "streamctl.toml").write_text("broken")
    assert complete("context", "use", "p") == []


def test_the_names_of_commands_are_completed_without_loading_one() -> None:
    program = (
        "import sys; from streamctl.main import main\n"
        "try: main()\n"
        "finally: print([name for name in sys.modules if name.startswith(('streamctl.commands.', 'grpc'))])"
    )
    environment = os.environ | {
        "_STREAMCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": "streamctl c",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    *names, loaded = done.stdout.splitlines()
    assert "plain,cluster" in names and "plain,topic" not in names
    assert loaded == "[]"

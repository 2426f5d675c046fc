"""Completion: what the shell is given, and how little is loaded for it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamctl.failures import CommandError, ExitCode
from streamctl.shells import typed
from streamkeep_common.errors import UnavailableError
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo
from tests.unit.cli.fake_admin import FakeAdmin, fake_cluster, streamctl

PROGRAM = "from streamctl.main import main; main()"
TIMEOUT_S = 60


def complete(*words: str) -> list[str]:
    """What bash is told for the last word, which it cuts at each sign."""
    from click.testing import CliRunner

    from streamctl.main import cli

    cut = [piece for word in words for piece in re.split("([=:])", word) if piece]
    environment = {
        "_STREAMCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("streamctl", *cut)),
        "COMP_CWORD": str(len(cut)),
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
    assert complete("partition", "cancel", "flights:") == ["0", "1"], "behind the cut"
    assert complete("records", "co") == ["count"]
    assert complete("config", "describe", "topic", "retention") == ["retention_ms", "retention_bytes"]


def test_settings_and_their_words_are_completed() -> None:
    assert complete("topic", "alter", "t", "--set", "min_") == ["min_insync_replicas=", "min_free_bytes="]
    assert complete("topic", "create", "t", "--set", "durability=") == ["fsync", "os"]
    assert complete("topic", "create", "t", "--set=unclean_leader_election=o") == ["off", "on"]
    assert complete("topic", "alter", "t", "--set", "retention_ms=-") == ["-1"]
    assert complete("topic", "alter", "t", "--set", "nothing=") == []
    assert complete("topic", "alter", "t", "--unset", "segment_b") == ["segment_bytes"]


def test_bash_cuts_words_at_signs_and_they_are_put_together_again() -> None:
    assert typed(["streamctl", "--set", "a", "=", "b"], 4) == (["streamctl", "--set"], "a=b", "a=")
    assert typed(["streamctl", "--set", "a", "="], 3) == (["streamctl", "--set"], "a=", "a=")
    assert typed(["streamctl", "--set", "a", "=", "b"], 5) == (["streamctl", "--set", "a=b"], "", "")
    assert typed(["streamctl", "a", "b", "c"], 1) == (["streamctl"], "a", "")
    assert typed(["streamctl", "cancel", "t", ":", "0"], 4) == (["streamctl", "cancel"], "t:0", "t:")


@given(st.lists(st.sampled_from(["a", "=", ":", "--set", "b=c"]), min_size=1), st.integers(0, 12))
def test_no_line_of_bash_loses_a_sign(words: list[str], current: int) -> None:
    line = typed(words, current)
    assert "".join([*line.complete, line.incomplete]) == "".join(words[: current + 1])
    assert line.incomplete.startswith(line.kept)


def test_bash_itself_reads_the_script_and_gets_what_stands_behind_the_sign() -> None:
    program = Path(sys.executable).parent / "streamctl"
    script = f"""
        source <({program} completion bash)
        COMP_WORDS=(streamctl topic alter t --set durability = f) COMP_CWORD=7
        _streamctl_completion {program}
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("fsync\n", "")


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


def test_ctrl_c_while_names_are_asked_for_ends_the_question_without_a_word() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment = os.environ | {
            "_STREAMCTL_COMPLETE": "bash_complete",
            "COMP_WORDS": "streamctl topic describe f",
            "COMP_CWORD": "3",
            "STREAMKEEP_BOOTSTRAP": f"127.0.0.1:{silent.getsockname()[1]}",
        }
        patient = f"import streamctl.completion as names; names.ANSWER_S = {TIMEOUT_S}; {PROGRAM}"
        with subprocess.Popen(
            [sys.executable, "-c", patient], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        ) as asking:
            silent.accept()[0].close()
            asking.send_signal(signal.SIGINT)
            assert asking.communicate(timeout=TIMEOUT_S) == (b"", b"")
    assert asking.returncode == ExitCode.INTERRUPTED


def test_names_that_cannot_be_written_are_no_traceback_in_the_line_that_is_typed() -> None:
    variables = {"_STREAMCTL_COMPLETE": "bash_complete", "COMP_WORDS": "streamctl ", "COMP_CWORD": "1"}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            env=os.environ | variables,
        )
    assert (done.returncode, done.stderr) == (ExitCode.FAILED, b"")


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

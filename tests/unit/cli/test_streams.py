"""Standard streams that are closed, full or read by nobody: each command ends as it should, without noise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from streamctl.failures import ExitCode

STREAMCTL = (sys.executable, "-c", "from streamctl.main import main; main()")
TIMEOUT_S = 60


def run(arguments: Sequence[str], **streams: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*STREAMCTL, *arguments], check=False, timeout=TIMEOUT_S, **streams)


@contextmanager
def nobody() -> Iterator[int]:
    """A pipe without a reader, as before `| head` when that has seen enough."""
    out, into = os.pipe()
    os.close(out)
    yield into
    os.close(into)


def test_streams_that_the_caller_closed_are_empty_or_lead_nowhere() -> None:
    command = [*STREAMCTL, "version"]
    close_all_and_run = f"import os; os.closerange(0, 3); os.execv({sys.executable!r}, {command!r})"
    assert subprocess.run([sys.executable, "-c", close_all_and_run], check=False).returncode == 0


@pytest.mark.parametrize("arguments", [["--help"], ["topic", "--help"], ["cheat", "topic"], ["version"]])
def test_a_stdout_that_takes_nothing_is_told_in_a_sentence(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = run(arguments, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (
        ExitCode.FAILED,
        b"Error: stdout cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("arguments", [["--help"], ["topic", "--help"], ["cheat", "topic"]])
def test_a_reader_that_is_gone_ends_every_command_quietly(arguments: list[str]) -> None:
    with nobody() as pipe:
        done = run(arguments, stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (ExitCode.DONE, b"")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["no-such-noun"], ExitCode.USAGE), (["context", "use", "nobody"], ExitCode.NOT_FOUND)],
)
def test_an_exit_code_is_the_same_whether_the_complaint_can_be_written_or_not(
    arguments: list[str], code: ExitCode
) -> None:
    with open("/dev/full", "wb") as full, nobody() as pipe:
        assert [run(arguments, stderr=stream).returncode for stream in (full, pipe)] == [code, code]

"""Ctrl-C and its relatives, in every command that runs until it is told to end."""

from __future__ import annotations

import fcntl
import json
import select
import signal
import subprocess
from collections.abc import Sequence

import pytest

from streamctl.failures import ExitCode
from tests.integration.cli.program import TIMEOUT_S, Streamctl, until_full

pytestmark = pytest.mark.process


def interrupted(streamctl: Streamctl, *arguments: str, number: signal.Signals = signal.SIGINT) -> bytes:
    """What a command has said when a signal ends it, which comes when it has said something."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with streamctl.start(*arguments, **pipes) as process:
        assert process.stdout is not None and process.stderr is not None
        assert select.select([process.stdout, process.stderr], [], [], TIMEOUT_S)[0], "it says nothing"
        return ended(process, number)


def ended(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGINT) -> bytes:
    process.send_signal(number)
    said, told = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == ExitCode.INTERRUPTED, told
    assert b"Traceback" not in told and b"Aborted" not in told
    return said


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (["consume", "until", "-O", "end"], signal.SIGTERM),
        (["consume", "until-*"], signal.SIGHUP),
        (["cluster", "health", "--watch"], signal.SIGINT),
        (["partition", "list", "until", "--watch=0.1"], signal.SIGTERM),
    ],
)
def test_what_runs_until_ctrl_c_ends_at_it_with_130(
    streamctl: Streamctl, arguments: Sequence[str], number: signal.Signals
) -> None:
    if "until" not in streamctl("topic", "list", "-o", "name").out.decode().split():
        streamctl("topic", "create", "until", "--partitions", "1")
    interrupted(streamctl, *arguments, number=number)


def test_what_is_watched_ends_at_ctrl_c_though_nobody_reads_it(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "wide", "--partitions", "100")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with streamctl.start("topic", "describe", "wide", "--watch=0.1", "-o", "json", **pipes) as process:
        assert process.stdout is not None
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 2 * select.PIPE_BUF)
        until_full(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == ExitCode.INTERRUPTED


@pytest.mark.parametrize("kind", ["produce", "latency"])
def test_a_benchmark_that_is_interrupted_shows_what_it_has_measured(streamctl: Streamctl, kind: str) -> None:
    topic = f"speed-{kind}"
    streamctl("topic", "create", topic, "--partitions", "1")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    measure = ("bench", kind, topic, "--seconds", "3600", "--rate", "2000", "-o", "json")
    with streamctl.start(*measure, **pipes) as bench:
        streamctl("consume", topic, "-c", "1")
        measured = json.loads(ended(bench))
    assert measured["topic"] == topic and 0 < measured["seconds"] < 3600
    assert measured["times_ms"].keys() >= {"acknowledged"}

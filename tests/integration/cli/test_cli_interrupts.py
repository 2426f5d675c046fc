"""Ctrl-C and its relatives, in every command that runs until it is told to end."""

from __future__ import annotations

import fcntl
import json
import select
import signal
import socket
import subprocess
from collections.abc import Sequence

import pytest

from streamctl.failures import ExitCode
from tests.integration.cli.program import STREAMCTL, TIMEOUT_S, Streamctl, until_full
from tests.unit.cli.command_tree import commands, parse

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


def test_an_expression_that_takes_hours_ends_at_ctrl_c(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "hours", "--partitions", "1")
    for line in (b"a\n", b"a" * 60 + b"b\n"):
        streamctl.produce("hours", line)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with streamctl.start("consume", "hours", "-e", "--grep", "^(a+)+$", **pipes) as consumer:
        assert consumer.stdout is not None
        assert consumer.stdout.readline() == b"a\n", "the next batch is being looked into"
        try:
            ended(consumer)
        finally:
            consumer.kill()


def test_what_nohup_started_goes_on_when_its_terminal_is_gone(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "nohup", "--partitions", "1")
    line = ("nohup", *STREAMCTL, "consume", "nohup", "-O", "end", "-c", "1")
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, env=streamctl.environment, **pipes) as consumer:
        assert consumer.stderr is not None
        assert b"waiting for new records" in consumer.stderr.readline()
        consumer.send_signal(signal.SIGHUP)
        streamctl.produce("nohup", b"still here\n")
        assert consumer.communicate(timeout=TIMEOUT_S) == (b"still here\n", b"1 record\n")
        assert consumer.returncode == ExitCode.DONE


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


ASKING = {
    "topic add-partitions": "t 9",
    "topic alter": "t --set retention_ms=1",
    "topic create": "t",
    "topic delete": "t --yes",
    "topic describe": "t",
    "topic list": "",
    "partition cancel": "t:0",
    "partition elect": "t",
    "partition list": "",
    "partition reassign": "-p t:0=1,2",
    "partition reassignments": "",
    "partition verify": "t",
    "offset list": "",
    "records count": "",
    "records delete": "t --before 5 --yes",
    "config show": "topic t",
    "produce": "t",
    "consume": "t",
    "cluster describe": "",
    "cluster features": "",
    "cluster health": "",
    "cluster upgrade": "",
    "quorum add": "4 localhost:1",
    "quorum remove": "3 --yes",
    "quorum status": "",
    "quorum transfer": "",
    "bench consume": "t",
    "bench latency": "t",
    "bench produce": "t",
    "broker decommission": "1 --yes",
    "broker describe": "1",
    "broker drain": "1",
    "broker list": "",
    "broker log-dirs": "",
    "broker undrain": "1",
}
"""Every command that asks a cluster something, with what it needs."""
NOT_ASKING = {"cluster init": "it asks the members that it names", "context show": "it reads a file"}


@pytest.mark.parametrize("command", ASKING)
def test_ctrl_c_ends_a_question_that_nobody_answers(bare: Streamctl, command: str) -> None:
    """It comes as soon as there is somebody to wait for."""
    arguments = [*command.split(), *ASKING[command].split(), "--timeout", str(TIMEOUT_S)]
    parse(arguments)  # raises if that is no line at all
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(TIMEOUT_S)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with bare.start(*arguments, "-b", address, **pipes) as process, silent.accept()[0]:
            assert ended(process) == b""


def test_every_command_that_asks_a_cluster_is_tried_for_ctrl_c() -> None:
    asking = {
        path for path, command in commands() if any(each.name == "bootstrap" for each in command.params)
    }
    assert asking - {"context add"} == ASKING.keys() | NOT_ASKING.keys()

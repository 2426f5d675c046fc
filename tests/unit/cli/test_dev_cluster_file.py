from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from streamctl.dev.cluster_file import (
    ClusterFileError,
    ClusterState,
    ProcessRecord,
    ProcessState,
    decode,
    encode,
    judge,
    refusal,
)

RUNNING, PAUSED = ProcessState.RUNNING, ProcessState.PAUSED
DEAD, STOPPED = ProcessState.DEAD, ProcessState.STOPPED


def record(role: str = "broker", number: int = 1) -> ProcessRecord:
    return ProcessRecord(
        role, number, 4_000 + number, 99, "boot", f"127.0.0.1:720{number}", "/d", "/d/log", ["-m", "x"]
    )


def test_what_is_written_is_read_again() -> None:
    records = [record("coordinator"), record(), record(number=2)]
    assert decode(encode(records)) == records


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"layout": 3, "processes": []}',
        '{"layout": 2, "processes": [{"role": "broker"}]}',
        '{"layout": 1, "processes": [{"role": "broker"}]}',
        "\0",
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ClusterFileError):
        decode(text)


def test_processes_of_the_version_before_are_known_but_not_how_they_were_started() -> None:
    process = asdict(record("coordinator"))
    del process["arguments"]
    assert decode(json.dumps({"layout": 1, "processes": [process]})) == [
        replace(record("coordinator"), arguments=[])
    ]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], ClusterState.STOPPED),
        ([DEAD, DEAD], ClusterState.STOPPED),
        ([RUNNING, PAUSED], ClusterState.RUNNING),
        ([RUNNING, DEAD], ClusterState.HALF_DEAD),
        ([RUNNING, STOPPED], ClusterState.HALF_DEAD),
        ([DEAD, STOPPED], ClusterState.STOPPED),
    ],
)
def test_a_cluster_is_what_its_processes_are(states: list[ProcessState], expected: ClusterState) -> None:
    assert judge(states) is expected


def test_a_running_or_half_dead_cluster_says_how_to_end_it() -> None:
    records = [record("coordinator"), record()]
    assert refusal(records, [DEAD, DEAD], "/d") is None
    assert "already running in /d" in str(refusal(records, [RUNNING, RUNNING], "/d"))
    half_dead = str(refusal(records, [DEAD, RUNNING], "/d"))
    assert "coordinator 1 ended, broker 1 (pid 4001) still runs" in half_dead
    assert "`streamctl dev start-process coordinator 1`" in half_dead
    assert "`streamctl dev stop --data-dir /d`" in half_dead

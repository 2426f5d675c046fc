from __future__ import annotations

from pathlib import Path

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
from streamctl.dev.plan import plan_cluster

RUNNING, PAUSED, DEAD = ProcessState.RUNNING, ProcessState.PAUSED, ProcessState.DEAD


def record(role: str = "broker", number: int = 1) -> ProcessRecord:
    return ProcessRecord(role, number, 4_000 + number, 99, "boot", f"127.0.0.1:720{number}", "/d", "/d/log")


def test_what_is_written_is_read_again() -> None:
    records = [record("coordinator"), record(), record(number=2)]
    assert decode(encode(records)) == records


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"layout": 2, "processes": []}',
        '{"layout": 1, "processes": [{"role": "broker"}]}',
        "\0",
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ClusterFileError):
        decode(text)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], ClusterState.STOPPED),
        ([DEAD, DEAD], ClusterState.STOPPED),
        ([RUNNING, PAUSED], ClusterState.RUNNING),
        ([RUNNING, DEAD], ClusterState.HALF_DEAD),
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
    assert "`streamctl dev stop --data-dir /d`" in half_dead


def test_the_default_ports_are_the_documented_ones() -> None:
    plan = plan_cluster(Path("/d"), brokers=3)
    assert [server.address for server in plan.servers] == [
        "127.0.0.1:7101",
        "127.0.0.1:7201",
        "127.0.0.1:7202",
        "127.0.0.1:7203",
    ]
    assert (
        len({server.data_dir for server in plan.servers}) == len({server.log for server in plan.servers}) == 4
    )


def test_port_base_zero_takes_free_ports() -> None:
    assert {server.port for server in plan_cluster(Path("/d"), brokers=2, port_base=0).servers} == {0}

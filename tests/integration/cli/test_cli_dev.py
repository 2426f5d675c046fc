"""`streamctl dev` and the server commands: what is started can be seen, found again and ended."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from streamkeep_common.seams.real.clock import RealClock
from tests.integration.cli.program import TIMEOUT_S, Streamctl, is_running, kill, servers_under

pytestmark = pytest.mark.process

START = ("dev", "--coordinators", "1", "--brokers", "1", "--port-base", "0", "-o", "json")


def test_a_detached_cluster_is_found_again_and_ended(bare: Streamctl) -> None:
    starting = bare.process(*START, "--detach")
    assert "topic create flights" in starting.err and "--data-dir" not in starting.err, "it is the only one"
    started = starting.json
    status = bare("dev", "status", "-o", "json").json
    assert status == started
    assert [(process["role"], process["id"], process["state"]) for process in status] == [
        ("coordinator", 1, "running"),
        ("broker", 1, "running"),
    ]
    assert all(Path(process["data_dir"]).is_dir() for process in status)
    assert "already running" in bare(*START, "--detach", expect=1).err
    bare("dev", "stop")
    assert not any(is_running(process["pid"]) for process in status)
    ended = bare("dev", "status", "-o", "json", expect=3)
    assert ended.json == [] and "its data are there, `streamctl dev` starts it again" in ended.err
    elsewhere = str(bare.home / "no where")
    never = bare("dev", "status", "--data-dir", elsewhere, expect=3).err
    assert f"no cluster was started in {elsewhere}: `streamctl dev --data-dir '{elsewhere}'` starts" in never
    assert "No cluster" in bare("dev", "stop").err


def test_a_half_dead_cluster_says_what_to_do(bare: Streamctl) -> None:
    processes = bare.process(*START, "--detach").json
    kill(processes[1]["pid"])
    status = bare("dev", "status", "-o", "json", expect=10)
    assert [process["state"] for process in status.json] == ["running", "dead"]
    refused = bare(*START, "--detach", expect=1).err
    assert "half dead: broker 1 ended, coordinator 1" in refused and "dev stop" in refused
    bare("dev", "stop")
    again = bare.process(*START, "--detach").json
    assert again[0]["pid"] != processes[0]["pid"]
    bare("dev", "stop")


def test_of_two_clusters_the_one_that_commands_speak_to_is_ended(bare: Streamctl) -> None:
    first = bare.process(*START, "--detach", "--data-dir", str(bare.home / "first")).json
    second = bare.process(*START, "--detach", "--data-dir", str(bare.home / "second")).json
    assert "say which is meant" in bare("dev", "stop", expect=2).err
    bare("--bootstrap", second[0]["address"], "dev", "stop")
    assert not any(is_running(process["pid"]) for process in second)
    assert all(is_running(process["pid"]) for process in first)


def test_a_partition_without_a_leader_is_described_without_waiting_for_one(bare: Streamctl) -> None:
    _, broker = bare.process(*START, "--detach").json
    bare("topic", "create", "t", "--partitions", "1")
    kill(broker["pid"])
    clock = RealClock()
    deadline_s = clock.monotonic() + TIMEOUT_S
    while bare("cluster", "describe", "-o", "json").json["brokers"][0]["state"] == "up":
        assert clock.monotonic() < deadline_s
    topic = bare.process("topic", "describe", "t", "-o", "json", "--timeout", "3600").json
    assert [(p["leader"], p["high_watermark"]) for p in topic["partitions"]] == [(None, None)]
    bare("dev", "stop")


def test_ctrl_c_ends_a_cluster_in_the_foreground(bare: Streamctl) -> None:
    dev = bare.start(*START, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert dev.stderr is not None and dev.stdout is not None
    assert b"ready" in dev.stderr.readline()
    pids = [process["pid"] for process in bare("dev", "status", "-o", "json").json]
    dev.send_signal(signal.SIGINT)
    dev.communicate(timeout=TIMEOUT_S)
    assert dev.returncode == 0
    assert not any(map(is_running, pids))


def test_a_locked_directory_is_named(bare: Streamctl) -> None:
    data_dir = str(bare.home / "shared")
    options = ("--id", "1", "--listen", "127.0.0.1:0", "--data-dir", f"{data_dir}/coordinator-1")
    coordinator = bare.start("coordinator", "run", *options, stdout=subprocess.PIPE)
    try:
        assert coordinator.stdout is not None
        ready = json.loads(coordinator.stdout.readline())
        assert ready["ready"] == "coordinator" and ready["id"] == 1
        result = bare(*START, "--data-dir", data_dir, "--detach", expect=1)
        assert "coordinator 1 did not start: " in result.err and f"{data_dir}/coordinator-1" in result.err
    finally:
        coordinator.terminate()
        assert coordinator.wait(TIMEOUT_S) == 0
        assert coordinator.stdout is not None
        coordinator.stdout.close()


def test_a_directory_with_one_coordinator_keeps_to_it_and_to_its_ports(bare: Streamctl) -> None:
    first = bare.process(*START, "--detach").json
    bare("topic", "create", "kept", "--partitions", "1")
    bare("dev", "stop")
    again = bare.process("dev", "--brokers", "1", "--detach", "-o", "json")
    assert "The data here belong to one coordinator" in again.err
    assert [process["address"] for process in again.json] == [process["address"] for process in first]
    assert [topic["name"] for topic in bare("topic", "list", "-o", "json").json] == ["kept"]
    bare("dev", "stop")


def test_the_demo_kills_a_leader_loses_no_departure_and_leaves_nothing(bare: Streamctl) -> None:
    result = bare.process("demo")
    assert "27,004 of 27,004 came through, each exactly once." in result.out.decode()
    assert re.search(r"broker \d was killed with -9; writes stood still for \d+\.\d\d s", result.out.decode())
    assert "UA             4637                    8.3" in result.out.decode()
    assert list(bare.home.iterdir()) == [] and servers_under(bare.home) == []


def test_the_demo_interrupted_leaves_nothing(bare: Streamctl) -> None:
    demo = bare.start("demo", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert demo.stderr is not None
    assert b"ready" in demo.stderr.readline()
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=TIMEOUT_S)
    assert demo.returncode == 130
    assert list(bare.home.iterdir()) == [] and servers_under(bare.home) == []

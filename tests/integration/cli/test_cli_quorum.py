"""The quorum from the command line: coordinators die, come back, join and leave."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from streamkeep_common.seams.real.clock import RealClock
from tests.integration.cli.program import TIMEOUT_S, Streamctl, kill

pytestmark = pytest.mark.process

START = ("dev", "--brokers", "1", "--port-base", "0", "--detach", "-o", "json")


def status(program: Streamctl, *options: str) -> dict[str, Any]:
    found = program("quorum", "status", "-o", "json", *options).json
    assert isinstance(found, dict)
    return found


def states(quorum: dict[str, Any]) -> dict[int, str]:
    return {member["id"]: member["state"] for member in quorum["voters"]}


def until(program: Streamctl, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first status of which it holds."""
    clock = RealClock()
    deadline_s = clock.monotonic() + TIMEOUT_S
    while not holds(quorum := status(program)):
        assert clock.monotonic() < deadline_s, quorum
    return quorum


def caught_up(quorum: dict[str, Any]) -> bool:
    return set(states(quorum).values()) == {"active", "following"} and not any(
        voter["lag"] for voter in quorum["voters"]
    )


def test_the_same_command_line_serves_after_the_active_coordinator_was_killed(bare: Streamctl) -> None:
    processes = bare.process(*START).json
    before = until(bare, caught_up)
    assert list(before)[:4] == ["active", "term", "voters", "learners"]
    assert sorted(states(before)) == [1, 2, 3] and before["learners"] == []
    (active,) = (p for p in processes if (p["role"], p["id"]) == ("coordinator", before["active"]))
    kill(active["pid"])
    bare.process("topic", "create", "after")
    after = until(bare, lambda quorum: states(quorum)[active["id"]] == "unreachable")
    assert after["term"] > before["term"] and after["active"] not in (None, active["id"])
    assert "start-process" in bare("dev", "status", expect=10).err
    started = bare.process("dev", "start-process", "coordinator", str(active["id"]), "-o", "json").json
    assert (started["address"], started["state"]) == (active["address"], "running")
    assert until(bare, caught_up)["term"] == after["term"]
    bare("dev", "stop")


def test_without_a_quorum_what_is_known_is_told_and_nothing_is_changed(bare: Streamctl) -> None:
    bare.process(*START)
    until(bare, caught_up)
    bare("dev", "stop-process", "coordinator", "1")
    bare("dev", "stop-process", "coordinator", "3")
    assert sorted(states(until(bare, lambda quorum: quorum["stale"]))) == [1, 2, 3]
    assert "There is no quorum" in bare("quorum", "status").err
    assert bare("cluster", "describe", "-o", "json").json["stale"]
    bare("topic", "create", "never", "--timeout", "1", expect=4)
    bare("dev", "start-process", "coordinator", "3")
    bare("topic", "create", "again")
    bare("dev", "stop")


def test_leadership_can_be_handed_over(streamctl: Streamctl) -> None:
    before = until(streamctl, caught_up)
    other = next(voter["id"] for voter in before["voters"] if voter["id"] != before["active"])
    assert f"Coordinator {other} is active" in streamctl("quorum", "transfer", str(other)).err
    assert status(streamctl)["active"] == other


@contextmanager
def coordinator(program: Streamctl, number: int, *options: str) -> Iterator[str]:
    """One that runs beside the tests with an empty directory, and its address."""
    run = ("coordinator", "run", "--id", str(number), "--listen", "127.0.0.1:0", "--metrics-listen", "")
    data = ("--data-dir", str(program.home / f"own-{number}"))
    process = program.start(*run, *data, *options, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["address"]
    finally:
        process.kill()
        process.wait(TIMEOUT_S)
        process.stdout.close()


def test_a_coordinator_joins_as_a_learner_votes_and_leaves(streamctl: Streamctl) -> None:
    with coordinator(streamctl, 4) as address:
        added = streamctl("quorum", "add", "4", address, "-o", "json")
        assert sorted(states(added.json)) == [1, 2, 3, 4] and "joined as a learner" in added.err
        assert "3 voters stay" in streamctl("quorum", "remove", "4", "--dry-run").err
        streamctl("quorum", "remove", "4", "--yes")
        assert sorted(states(status(streamctl))) == [1, 2, 3]
    streamctl("quorum", "remove", "9", expect=3)


def test_empty_coordinators_become_a_cluster_when_they_are_told_to(bare: Streamctl) -> None:
    with coordinator(bare, 1) as first, coordinator(bare, 2) as second:
        assert "belongs to no cluster" in bare("quorum", "status", "-b", first, expect=4).err
        made = bare("cluster", "init", f"1@{first}", f"2@{second}", "-o", "json").json
        bootstrap = ("-b", f"{first},{second}")
        bare("topic", "list", *bootstrap)
        quorum = status(bare, *bootstrap)
        assert quorum["cluster_id"] == made["cluster_id"] and sorted(states(quorum)) == [1, 2]
        bare("cluster", "init", f"1@{first}", f"2@{second}", expect=1)
        assert "already" in bare("cluster", "upgrade", *bootstrap).err


def test_a_cluster_of_one_grows_to_three_and_keeps_what_it_has(bare: Streamctl) -> None:
    bare.process(*START, "--coordinators", "1")
    bare("topic", "create", "kept", "--partitions", "1")
    bare("dev", "stop")
    grown = bare.process(*START, "--coordinators", "3")
    assert "2, 3 will have no vote until" in grown.err
    for process in grown.json[1:3]:
        bare("quorum", "add", str(process["id"]), process["address"])
    assert sorted(states(until(bare, caught_up))) == [1, 2, 3]
    assert [topic["name"] for topic in bare("topic", "list", "-o", "json").json] == ["kept"]
    bare("dev", "stop")
    assert "cannot agree" in bare(*START, "--coordinators", "1", expect=2).err
    assert "ports of their first start" in bare(*START, "--port-base", "7101", expect=2).err


def test_a_lost_quorum_is_recovered_from_one_directory_and_grows_again(bare: Streamctl) -> None:
    processes = bare.process(*START).json
    bare("topic", "create", "kept", "--partitions", "1")
    until(bare, caught_up)
    recover = (
        "coordinator",
        "recover",
        "--force-new-cluster",
        "--data-dir",
        processes[0]["data_dir"],
        "--yes",
    )
    assert "in use by another coordinator" in bare(*recover, expect=1).err
    for number in (1, 2, 3):
        bare("dev", "stop-process", "coordinator", str(number))
    for process in processes[1:3]:
        shutil.rmtree(process["data_dir"])
    assert "Coordinator 3 at" in bare(*recover).err
    assert "in epoch 2" in bare("coordinator", "log", "dump", processes[0]["data_dir"]).out.decode()
    for number in (1, 2, 3):
        bare("dev", "start-process", "coordinator", str(number))
    alone = until(bare, lambda quorum: quorum["active"] == 1)
    assert (sorted(states(alone)), alone["cluster_epoch"]) == ([1], 2)
    for process in processes[1:3]:
        bare("quorum", "add", str(process["id"]), process["address"])
    assert sorted(states(until(bare, caught_up))) == [1, 2, 3]
    assert [topic["name"] for topic in bare("topic", "list", "-o", "json").json] == ["kept"]
    bare.process("produce", "kept", stdin=b"1\n2\n")
    bare("dev", "stop")

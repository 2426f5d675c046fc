"""Replicas moved, compared and drained from the command line, against processes that run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.cli.program import Streamctl

pytestmark = pytest.mark.process


def replicas(streamctl: Streamctl, topic: str) -> list[list[int]]:
    return [
        each["replicas"] for each in streamctl("topic", "describe", topic, "-o", "json").json["partitions"]
    ]


def lines(count: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(count))


def test_create_says_what_was_made(streamctl: Streamctl) -> None:
    created = streamctl("topic", "create", "made", "-o", "json")
    assert "6 partitions, RF 3, min ISR 2" in created.err
    assert (created.json["replication_factor"], created.json["min_insync_replicas"]) == (3, 2)


def test_replicas_that_come_have_all_that_was_written(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "moved", "--partitions", "2", "--replication-factor", "1")
    streamctl.produce("moved", lines(5_000))
    dry = streamctl("topic", "alter", "moved", "--replication-factor", "3", "--dry-run", "-o", "json").json
    assert all(len(each["copies"]) == 2 for each in dry) and sum(each["bytes"] for each in dry) > 0
    assert all(len(each) == 1 for each in replicas(streamctl, "moved"))

    streamctl("topic", "alter", "moved", "--replication-factor", "3", "--wait")
    topic = streamctl("topic", "describe", "moved", "-o", "json").json
    assert all(len(each["isr"]) == 3 and each["state"] == "ok" for each in topic["partitions"])
    assert streamctl("partition", "reassignments", "moved", "-o", "json").json == []
    verified = streamctl("partition", "verify", "moved", "-o", "json").json
    assert all(each["identical"] and len(each["replicas"]) == 3 for each in verified)
    assert sum(each["to_offset"] for each in verified) == 5_000


def test_another_order_and_an_election_move_a_leader_and_back(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "led", "--partitions", "1")
    ((first, second, third),) = replicas(streamctl, "led")
    streamctl("partition", "reassign", "-p", f"led:0={second},{first},{third}")
    streamctl("partition", "elect", "led")
    assert streamctl("topic", "describe", "led", "-o", "json").json["partitions"][0]["leader"] == second
    streamctl.produce("led", lines(10))
    streamctl("partition", "reassign", "-p", f"led:0={first}", "--wait")
    (partition,) = streamctl("topic", "describe", "led", "-o", "json").json["partitions"]
    assert (partition["leader"], partition["replicas"], partition["isr"]) == (first, [first], [first])
    assert streamctl("consume", "led", "--from-beginning", "--exit-at-end").out == lines(10)


def test_a_plan_that_cannot_be_is_told_by_partition(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "refused", "--partitions", "1")
    result = streamctl("partition", "reassign", "-p", "refused:0=1,99", expect=1)
    assert "refused:0: there is no broker 99" in result.err
    assert "refused-0 is not being moved" in streamctl("partition", "cancel", "refused:0", expect=1).err


def test_brokers_are_listed_and_described(streamctl: Streamctl) -> None:
    brokers = streamctl("broker", "list", "-o", "json").json
    assert [(each["id"], each["state"], each["draining"]) for each in brokers] == [
        (1, "up", False),
        (2, "up", False),
        (3, "up", False),
    ]
    described = streamctl("broker", "describe", "1", "-o", "json").json
    assert described["log_dirs"][0]["state"] == "online"


def test_a_broker_is_not_drained_when_nobody_can_take_its_replicas(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "full", "--partitions", "1")
    assert "no broker without a replica" in streamctl("broker", "drain", "1", expect=1).err
    assert not any(each["draining"] for each in streamctl("broker", "list", "-o", "json").json)


def test_a_broker_is_decommissioned_while_records_come_in(bare: Streamctl, tmp_path: Path) -> None:
    directory = str(tmp_path / "four")
    start = ("dev", "--detach", "--brokers", "4", "--port-base", "0", "--data-dir", directory, "-o", "json")
    try:
        processes = bare.process(*start).json
        coordinators = [each["address"] for each in processes if each["role"] == "coordinator"]
        four = Streamctl(bare.home, bootstrap=",".join(coordinators))
        four("topic", "create", "t", "--partitions", "4")
        (tmp_path / "lines").write_bytes(lines(300_000))
        with open(tmp_path / "lines", "rb") as source:
            producer = four.start("produce", "t", stdin=source)
        four("broker", "drain", "4")
        assert not any(4 in each for each in replicas(four, "t"))
        four("dev", "stop-process", "broker", "4", "--data-dir", directory)
        four("broker", "decommission", "4", "--yes")
        assert producer.wait(60) == 0
        assert [each["id"] for each in four("broker", "list", "-o", "json").json] == [1, 2, 3]
        verified = four("partition", "verify", "t", "-o", "json").json
        assert all(each["identical"] for each in verified)
        assert sum(each["to_offset"] for each in verified) == 300_000
    finally:
        bare("dev", "stop", "--data-dir", directory)

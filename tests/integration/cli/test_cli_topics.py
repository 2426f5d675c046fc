"""Topics and the cluster from the command line, and what is said when something is not there."""

from __future__ import annotations

import socket

import pytest

from tests.integration.cli.program import Streamctl

pytestmark = pytest.mark.process

PARTITION_FIELDS = [
    "partition",
    "leader",
    "leader_epoch",
    "replicas",
    "isr",
    "elr",
    "log_start_offset",
    "high_watermark",
    "adding_replicas",
    "removing_replicas",
    "last_members",
    "state",
]


def test_describe_has_the_documented_shape(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "shape", "--partitions", "2", "--set", "retention_ms=1d")
    streamctl.produce("shape", b"a\nb\n", "-p", "1")
    topic = streamctl("topic", "describe", "shape", "-o", "json").json
    assert list(topic) == ["name", "id", "settings", "settings_set", "partitions"]
    assert topic["name"] == "shape" and topic["settings"]["retention_ms"] == "86400000"
    assert topic["settings_set"] == ["retention_ms"]
    assert [list(partition) for partition in topic["partitions"]] == [PARTITION_FIELDS] * 2
    first, second = topic["partitions"]
    assert first["leader"] in first["replicas"] == first["isr"] and first["leader_epoch"] == 1
    assert (first["high_watermark"], second["high_watermark"], second["log_start_offset"]) == (0, 2, 0)
    assert "HIGH WATERMARK" in streamctl("topic", "describe", "shape").out.decode()


def test_a_topic_is_created_altered_listed_and_deleted(streamctl: Streamctl) -> None:
    dry = streamctl("topic", "create", "life", "--dry-run", "-o", "json").json
    assert (dry["id"], dry["partitions"]) == (None, 6)
    assert "life" not in streamctl("topic", "list").out.decode()
    created = streamctl("topic", "create", "life", "--partitions", "1", "-o", "json").json
    altered = streamctl("topic", "alter", "life", "--set", "segment_bytes=1MiB", "--partitions", "2")
    assert altered.err == "Changed topic 'life': segment_bytes 1GiB -> 1MiB, partitions 1 -> 2.\n"
    again = streamctl("topic", "alter", "life", "--set", "segment_bytes=1024KiB")
    assert again.err == "Topic 'life' has all that already.\n"
    topic = streamctl("topic", "describe", "life", "-o", "json").json
    assert topic["id"] == created["id"] and len(topic["partitions"]) == 2
    assert topic["settings"]["segment_bytes"] == "1048576"
    streamctl("topic", "alter", "life", "--unset", "segment_bytes")
    fewer = ("--set", "segment_bytes=2MiB", "--partitions", "1")
    refused = streamctl("topic", "alter", "life", *fewer, expect=2).err
    assert "topic life has 2 partitions, more than 1. A topic has 1 partition or more; their" in refused
    unchanged = streamctl("topic", "describe", "life", "-o", "json").json
    assert unchanged["settings"]["segment_bytes"] == str(2**30)
    streamctl("topic", "delete", "life", "--dry-run")
    listed = streamctl("topic", "list", "-o", "json").json
    assert {"name": "life", "id": created["id"], "partitions": 2, "replication_factor": 3} in listed
    streamctl("topic", "delete", "life")
    assert "life" not in {topic["name"] for topic in streamctl("topic", "list", "-o", "json").json}


def test_the_cluster_is_described(streamctl: Streamctl) -> None:
    cluster = streamctl("cluster", "describe", "-o", "json").json
    assert [broker["state"] for broker in cluster["brokers"]] == ["up"] * 3
    assert sorted(coordinator["active"] for coordinator in cluster["coordinators"]) == [False, False, True]
    assert all(coordinator["voter"] for coordinator in cluster["coordinators"])
    assert not cluster["stale"] and cluster["cluster_epoch"] == 1


def test_a_topic_that_does_not_exist_is_exit_3_with_the_nearest_name(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "departures", "--partitions", "1")
    for command in (
        ["consume"],
        ["topic", "describe"],
        ["topic", "alter", "--unset", "x"],
        ["topic", "delete"],
    ):
        result = streamctl(*command, "departrues", expect=3)
        assert "topic 'departrues' does not exist; did you mean 'departures'?" in result.err
    assert "did you mean" in streamctl.produce("departrues", b"", expect=3).err
    assert "no partition 7: it has 0 to 0" in streamctl("consume", "departures", "-p", "7", expect=3).err
    assert "0 to 0" in streamctl.produce("departures", b"x\n", "-p", "7", expect=3).err


def test_what_can_never_be_right_is_a_usage_error(streamctl: Streamctl) -> None:
    assert "retention_ms" in streamctl("topic", "create", "t", "--set", "retention=1d", expect=2).err
    streamctl("topic", "create", "bad name", expect=2)


def test_nobody_there_is_exit_4_with_the_address(bare: Streamctl) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        for command in (["topic", "list"], ["consume", "t"]):
            assert address in bare(*command, "-b", address, "--timeout", "0.3", expect=4).err

"""Offsets, records, settings and health of a live cluster, and what is said when an address is wrong."""

from __future__ import annotations

import pytest

from tests.integration.cli.program import Streamctl

pytestmark = pytest.mark.process


def test_old_records_are_counted_shown_and_deleted(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "old", "--partitions", "2")
    streamctl.produce("old", b"a\nb\nc\n", "-p", "0")
    streamctl.produce("old", b"d\n", "-p", "1")
    assert "4 records in 2 partitions" in streamctl("records", "count", "old").err
    dry = streamctl("records", "delete", "old", "--before", "-1", "--dry-run", "-o", "json").json
    assert [each["records"] for each in dry] == [2, 0]
    assert "4 records" in streamctl("records", "count", "old").err, "a dry run deletes nothing"
    streamctl("records", "delete", "old:0", "--before", "2")
    (first, second) = streamctl("offset", "list", "old", "-o", "json").json
    assert (first["earliest"], first["latest"], second["earliest"]) == (2, 3, 0)
    beyond = streamctl("records", "delete", "old:0", "--before", "99", expect=2)
    assert "ends at offset 3" in beyond.err and "--before end" in beyond.err
    streamctl("records", "delete", "old", "--before", "end", "-y")
    assert "0 records" in streamctl("records", "count", "old").err


def test_an_offset_is_found_by_time(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "times", "--partitions", "1")
    streamctl.produce("times", b"a\nb\n")
    (hour,) = streamctl("offset", "list", "times:0", "--at", "@-1h", "-o", "json").json
    assert hour["at_offset"] == 0 and hour["at_timestamp_ms"] > 0
    (future,) = streamctl("offset", "list", "times:0", "--at", "@4102444800000", "-o", "json").json
    assert future["at_offset"] is None
    assert "it begins with @" in streamctl("offset", "list", "times", "--at", "5", expect=2).err


def test_settings_that_run_are_told_with_their_source(streamctl: Streamctl) -> None:
    streamctl("topic", "create", "set", "--partitions", "1", "--set", "retention_ms=1d")
    changed = streamctl("config", "show", "topic", "set", "--changed", "-o", "json").json
    assert [(each["name"], each["value"], each["source"]) for each in changed] == [
        ("retention_ms", "86400000", "topic")
    ]
    broker = streamctl("config", "show", "broker", "1", "-o", "json").json
    assert {each["name"]: each["value"] for each in broker}["id"] == "1"
    assert "there are 1, 2, 3" in streamctl("config", "show", "coordinator", "9", expect=3).err
    assert "there is no broker 9" in streamctl("config", "show", "broker", "9", expect=3).err


def test_all_is_well_and_names_are_for_other_commands(streamctl: Streamctl) -> None:
    assert streamctl("cluster", "health", "--wait").out == b"healthy\n"
    assert streamctl("broker", "list", "-o", "name").out == b"1\n2\n3\n"
    streamctl("topic", "create", "named", "--partitions", "2")
    assert streamctl("partition", "list", "named", "-o", "name").out == b"named:0\nnamed:1\n"
    assert streamctl("partition", "list", "named", "--ill", "-o", "name").out == b""


def test_a_brokers_address_is_told_to_be_one(streamctl: Streamctl) -> None:
    (broker, *_) = streamctl("broker", "list", "-o", "json").json
    said = streamctl("topic", "list", "-b", broker["address"], "--timeout", "2", expect=1).err
    assert f"{broker['address']} is not a coordinator" in said and "address of a coordinator" in said


def test_half_of_the_addresses_may_be_dead(streamctl: Streamctl) -> None:
    assert streamctl.bootstrap is not None
    living = streamctl.bootstrap.partition(",")[0]
    streamctl("topic", "list", "-b", f"127.0.0.1:1,{living},127.0.0.1:2")
    (broker, *_) = streamctl("broker", "list", "-o", "json").json
    streamctl("topic", "list", "-b", f"{broker['address']},{living}")


def test_a_context_stands_for_its_addresses(streamctl: Streamctl) -> None:
    assert streamctl.bootstrap is not None
    streamctl("context", "add", "test", streamctl.bootstrap)
    streamctl("topic", "list", "--context", "test")
    streamctl("context", "remove", "test", "-y")
    assert "no context 'test'" in streamctl("topic", "list", "--context", "test", expect=3).err

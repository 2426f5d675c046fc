"""A directory's name says whose log is in it."""

from __future__ import annotations

import pytest

from streamkeep_broker.log.partition_name import (
    DELETED_SUFFIX,
    PartitionName,
    directory_name,
    parse_directory_name,
)

TOPIC_ID = bytes(range(16))


@pytest.mark.parametrize("topic", ["flights", "a-1.b_c", "-1", "0", "t.deleted"])
@pytest.mark.parametrize("partition", [0, 7, 9_999])
def test_a_name_is_read_as_it_was_made(topic: str, partition: int) -> None:
    name = directory_name(TOPIC_ID, topic, partition)
    assert parse_directory_name(name) == PartitionName(topic, partition, TOPIC_ID)


def test_the_longest_topic_has_a_name_that_file_systems_take_even_when_it_is_deleted() -> None:
    name = directory_name(TOPIC_ID, "x" * 249, 9_999)
    assert len(f"{name}.4294967295{DELETED_SUFFIX}") <= 255
    found = parse_directory_name(name)
    assert found is not None
    assert (found.topic, found.partition, found.topic_id) == ("x" * 190 + "~", 9_999, TOPIC_ID)


def test_a_topic_made_again_has_another_name() -> None:
    assert directory_name(TOPIC_ID, "t", 0) != directory_name(bytes(16), "t", 0)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "lost+found",
        "t-0",
        "t-0.00",
        "t-x." + "0" * 32,
        "t-0." + "0" * 32 + ".1.deleted",
        "t-0.%s" % ("G" * 32),
    ],
)
def test_any_other_name_is_nobodys(name: str) -> None:
    assert parse_directory_name(name) is None

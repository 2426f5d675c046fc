"""What is said of a topic that was changed: what it had before, and what it has now."""

from __future__ import annotations

from streamctl.topic_changes import TopicChanges, differences
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo, TopicInfo, TopicSetting

BEFORE = TopicInfo(
    name="t",
    partitions=[PartitionInfo()] * 3,
    settings=[
        TopicSetting(name="retention_ms", value="86400000"),
        TopicSetting(name="durability", value="fsync", is_default=True),
    ],
)


def test_each_change_is_told_with_what_was_before() -> None:
    changes = TopicChanges({"durability": "os"}, ("retention_ms",), 6, None)
    assert differences(BEFORE, changes) == [
        "durability fsync -> os",
        "retention_ms 1d -> 7d",
        "partitions 3 -> 6",
    ]


def test_what_is_so_already_is_no_change() -> None:
    assert differences(BEFORE, TopicChanges({"retention_ms": "24h"}, ("durability",), 3, None)) == []


def test_a_setting_that_only_the_cluster_knows_is_left_out() -> None:
    assert differences(BEFORE, TopicChanges({"of_tomorrow": "1"}, (), None, None)) == []

"""A topic like another: what was said wins, the rest is the other's."""

from __future__ import annotations

from streamctl.topic_creation import NewTopic
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo, TopicInfo, TopicSetting

FLIGHTS = TopicInfo(
    name="flights",
    partitions=[PartitionInfo(partition=n, replicas=[1, 2, 3, 4], removing_replicas=[4]) for n in range(6)],
    settings=[
        TopicSetting(name="retention_ms", value="-1"),
        TopicSetting(name="segment_bytes", value="4096"),
        TopicSetting(name="durability", value="fsync", is_default=True),
    ],
)


def test_what_was_not_said_is_as_the_other_has_it_and_defaults_stay_defaults() -> None:
    wanted = NewTopic(None, None, {}).like(FLIGHTS)
    assert wanted == NewTopic(6, 3, {"retention_ms": "-1", "segment_bytes": "4096"})


def test_what_was_said_wins() -> None:
    wanted = NewTopic(2, 1, {"retention_ms": "1d", "durability": "os"}).like(FLIGHTS)
    assert wanted == NewTopic(2, 1, {"retention_ms": "1d", "segment_bytes": "4096", "durability": "os"})

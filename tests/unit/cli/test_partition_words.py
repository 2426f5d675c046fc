"""What is said of a partition and of sizes, in words."""

from __future__ import annotations

import pytest

from streamctl.partitions import size_text, state_words
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo


@pytest.mark.parametrize(
    ("partition", "words"),
    [
        (PartitionInfo(leader=1, replicas=[1, 2, 3], isr=[1, 2, 3]), "ok"),
        (PartitionInfo(leader=1, replicas=[1, 2, 3], isr=[1, 2]), "under-replicated"),
        (PartitionInfo(leader=1, replicas=[1, 2, 3], isr=[1]), "under min ISR"),
        (PartitionInfo(replicas=[1, 2, 3]), "no leader"),
        (PartitionInfo(replicas=[1, 2, 3], elr=[1, 2]), "no leader, waits for brokers 1, 2"),
        (PartitionInfo(replicas=[1, 2, 3], last_members=[3]), "no leader, waits for broker 3"),
        (PartitionInfo(replicas=[1, 2, 3], elr=[1], last_members=[2]), "no leader, waits for broker 1"),
        (PartitionInfo(leader=1, replicas=[1], isr=[1]), "ok"),
        (
            PartitionInfo(
                leader=1, replicas=[1, 3, 2], isr=[1, 2], adding_replicas=[3], removing_replicas=[2]
            ),
            "adds 3; removes 2",
        ),
    ],
)
def test_what_ails_a_partition_is_said_and_what_is_only_being_added_does_not(
    partition: PartitionInfo, words: str
) -> None:
    assert state_words(partition, 2) == words


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**40 * 5000, "5000.0 TiB")]
)
def test_sizes_are_said_in_units(size: int, text: str) -> None:
    assert size_text(size) == text

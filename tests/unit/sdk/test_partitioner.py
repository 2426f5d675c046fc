"""Where records without a key go."""

from __future__ import annotations

import random
from collections import Counter

from streamkeep.producer.partitioner import NO_LEADER, StickyPartitioner, draw_partition


def spread(queue_lengths: list[int], draws: int = 4_000) -> Counter[int]:
    rng = random.Random(7)
    return Counter(draw_partition(queue_lengths, rng.random()) for _ in range(draws))


def test_idle_partitions_are_drawn_equally() -> None:
    counts = spread([0, 0, 0, 0])
    assert set(counts) == {0, 1, 2, 3}
    assert all(abs(count - 1_000) < 150 for count in counts.values())


def test_longer_queues_are_drawn_less_often() -> None:
    counts = spread([0, 3, 1])  # weights 4, 1, 3
    assert counts[0] > counts[2] > counts[1] > 0


def test_partitions_without_a_leader_are_left_out_while_another_has_one() -> None:
    assert set(spread([0, NO_LEADER, 5])) == {0, 2}
    assert set(spread([NO_LEADER, NO_LEADER])) == {0, 1}, "if none has one, any will have to wait"


def test_the_ends_of_the_draw_are_partitions_too() -> None:
    assert draw_partition([0, 0], 0.0) == 0
    assert draw_partition([0, 0], 0.999999) == 1
    assert draw_partition([NO_LEADER, 0], 0.0) == 1


def test_a_partition_is_kept_for_a_batch_of_bytes() -> None:
    sticky = StickyPartitioner(turn_bytes=100, rng=random.Random(1))
    assert sticky.is_due()
    first = sticky.draw([0] * 8)
    sticky.note_batch(60)
    assert not sticky.is_due()
    assert sticky.partition == first
    sticky.note_batch(60)
    assert sticky.is_due()
    sticky.draw([0] * 8)
    assert not sticky.is_due()

"""Whatever leaders, disks and messages do, replicas become equal and keep what was acknowledged."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.broker.following.model import ModelPartition

STEPS = (
    "produce",
    "flush",
    "start",
    "answer",
    "push",
    "take",
    "acknowledge",
    "carry out",
    "expand",
    "shrink",
    "elect",
    "crash",
    "break",
    "delete",
)
COMMON = ("produce", "flush", "start", "answer", "push", "take", "acknowledge", "carry out", "expand")


def step(partition: ModelPartition, what: str, number: int) -> None:
    replica = partition.replicas[number]
    follower = partition.followers[number % 2]
    match what:
        case "produce":
            partition.produce(1 + number)
        case "flush":
            replica.log.flush()
            partition.advance()
        case "start":
            follower.start()
        case "answer":
            partition.answer_start(follower)
        case "push":
            partition.push(follower, number)
        case "take":
            follower.take_next()
        case "acknowledge":
            partition.acknowledge(follower)
        case "carry out":
            follower.carry_out()
        case "expand":
            partition.expand(follower)
        case "shrink":
            partition.shrink(follower)
        case "elect":
            partition.elect(partition.isr[number % len(partition.isr)])
        case "crash":
            partition.crash(replica)
        case "break":
            partition.break_stream(follower)
        case "delete":
            partition.delete_records()
    partition.check()


@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(st.tuples(st.sampled_from(STEPS + COMMON * 3), st.integers(0, 2)), max_size=150),
)
@settings(max_examples=300, deadline=None)
def test_after_any_leader_changes_and_losses_all_replicas_become_equal_and_keep_what_was_acknowledged(
    seed: int, steps: list[tuple[str, int]]
) -> None:
    partition = ModelPartition(random.Random(seed))
    for what, number in steps:
        step(partition, what, number)
    partition.settle()
    partition.check()


def test_long_histories_end_in_agreement_too() -> None:
    """What needs many steps to come about: hypothesis makes mostly short lists."""
    for seed in range(50):
        rng = random.Random(seed)
        partition = ModelPartition(rng)
        for _ in range(1_500):
            step(partition, rng.choice(STEPS + COMMON * 12), rng.randrange(3))
        partition.settle()
        partition.check()

"""What became of several items: by item, values apart from errors."""

from __future__ import annotations

import pytest

from streamkeep import TopicPartition
from streamkeep.admin.outcomes import Answers, Outcomes, by_partition
from streamkeep.errors import NoQuorumError, TopicExistsError, UnknownPartitionError, UnknownTopicError
from streamkeep_common.errors import to_proto
from streamkeep_common.limits import MAX_MOVES_PER_REQUEST
from streamkeep_proto.v1.coordinator_pb2 import ElectionOutcome, TopicOutcome
from tests.unit.sdk.admin_world import AdminWorld, in_admin_world


def test_outcomes_keep_values_apart_from_errors_in_the_order_asked() -> None:
    outcomes: Outcomes[str, int] = Outcomes({"b": 1, "a": UnknownTopicError("no a"), "c": 2})
    assert list(outcomes) == ["b", "a", "c"]
    assert outcomes.succeeded == {"b": 1, "c": 2}
    assert list(outcomes.failed) == ["a"]
    with pytest.raises(UnknownTopicError, match="no a"):
        outcomes.values_or_raise()
    assert Outcomes[str, int]({"b": 1}).values_or_raise() == {"b": 1}


def test_answers_are_messages_and_have_outcomes_by_item() -> None:
    failed = TopicOutcome(name="a", error=to_proto(TopicExistsError("there")))
    answers = Answers([("a", failed), ("b", TopicOutcome(name="b", partitions=3))])
    assert [each.name for each in answers] == ["a", "b"]
    assert isinstance(answers.outcomes["a"], TopicExistsError)
    assert answers.outcomes.succeeded["b"].partitions == 3
    (partition,) = by_partition([ElectionOutcome(topic="t", partition=1, to_leader=2)]).outcomes
    assert partition == TopicPartition("t", 1)


def test_offsets_of_whole_topics_are_asked_by_their_names() -> None:
    async def story(world: AdminWorld) -> None:
        offsets = await world.admin.list_topic_offsets(["t"], "latest")
        assert offsets.succeeded[TopicPartition("t", 0)].offset == 10
        assert await world.admin.list_topic_offsets([], "latest") == {}
        with pytest.raises(UnknownTopicError):
            await world.admin.list_topic_offsets(["u"], "latest")

    in_admin_world(story)


def test_records_up_to_the_high_watermark_of_the_call_are_deleted_and_none_that_come_later() -> None:
    async def story(world: AdminWorld) -> None:
        deleted = await world.admin.delete_records({("t", 0): -1, ("t", 9): -1})
        assert deleted.succeeded[TopicPartition("t", 0)].log_start_offset == 10
        assert isinstance(deleted[TopicPartition("t", 9)], UnknownPartitionError)
        (request,) = world.deletions
        assert [each.before_offset for each in request.partitions] == [10]

    in_admin_world(story)


def test_what_was_done_before_the_quorum_was_lost_is_told_beside_what_was_not() -> None:
    async def story(world: AdminWorld) -> None:
        wanted = {("t", number): [1, 2] for number in range(2 * MAX_MOVES_PER_REQUEST + 1)}
        world.refused_moves = 2
        moved = (await world.admin.reassign_partitions(wanted)).outcomes
        assert list(moved) == list(wanted)
        assert len(moved.succeeded) == MAX_MOVES_PER_REQUEST
        assert {type(error) for error in moved.failed.values()} == {NoQuorumError}
        world.refused_moves = 0
        with pytest.raises(NoQuorumError):
            await world.admin.reassign_partitions(wanted)

    in_admin_world(story)

"""Deciding on a quorum that commits, loses and cuts off as the test says."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from streamkeep_common.errors import (
    NoQuorumError,
    NotActiveError,
    NotInitializedError,
    RemovedError,
    StreamkeepError,
    UnavailableError,
)
from streamkeep_common.image import ClusterImage
from streamkeep_coordinator.controller import Committed
from streamkeep_coordinator.metadata import Decision
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord, ProducerIdsRecord
from tests.unit.coordinator.members import Coordinator, Members, simulate_members


def take_ids(image: ClusterImage) -> Decision[int]:
    """A block of one producer id."""
    after = image.next_producer_id + 1
    record = MetadataRecord(producer_ids=ProducerIdsRecord(next_producer_id=after))
    return Decision((record,), image.next_producer_id)


def look(image: ClusterImage) -> Decision[int]:
    """Changes nothing."""
    return Decision((), image.next_producer_id)


def start(coordinator: Coordinator, *, only_look: bool = False) -> asyncio.Task[Committed[int]]:
    return coordinator.machine.spawn(coordinator.controller.execute(look if only_look else take_ids))


async def failure(task: asyncio.Task[Committed[int]]) -> StreamkeepError:
    with pytest.raises(StreamkeepError) as raised:
        await task
    return raised.value


def test_commands_that_come_together_see_each_other() -> None:
    async def scenario(members: Members) -> None:
        done = await asyncio.gather(*(start(members[1]) for _ in range(5)))
        assert sorted(each.answer for each in done) == [1, 2, 3, 4, 5]
        assert sorted(each.index for each in done) == [2, 3, 4, 5, 6]
        assert {each.images.committed.next_producer_id for each in members.coordinators.values()} == {6}

    simulate_members(scenario)


def test_who_is_not_active_says_who_is() -> None:
    async def scenario(members: Members) -> None:
        error = await failure(start(members[2]))
        assert (type(error), error.active_address) == (NotActiveError, "coordinator-1:7101")
        assert "the active coordinator is number 1 at coordinator-1:7101" in str(error)
        members.quorum.lose()
        error = await failure(start(members[2]))
        assert (type(error), error.active_address) == (NotActiveError, "")
        members[2].consensus.removed = "coordinator 2 was removed"
        assert type(await failure(start(members[2]))) is RemovedError
        members[2].consensus.is_initialized = False
        assert type(await failure(start(members[2]))) is NotInitializedError

    simulate_members(scenario)


def test_who_waits_when_leadership_is_lost_is_told_that_it_may_have_happened_or_not() -> None:
    async def scenario(members: Members) -> None:
        members.quorum.holds = True
        waiting = [start(members[1]) for _ in range(3)]
        await asyncio.sleep(0.1)
        members.quorum.elect(2)
        errors = [await failure(task) for task in waiting]
        assert [(type(error), error.retriable) for error in errors] == [(UnavailableError, True)] * 3
        members.quorum.holds = False
        assert (await start(members[2])).answer == 1
        assert members[1].images.committed.next_producer_id == 2

    simulate_members(scenario)


def test_what_the_next_one_commits_all_the_same_is_applied_everywhere() -> None:
    async def scenario(members: Members) -> None:
        members.quorum.holds = True
        waiting = start(members[1])
        await asyncio.sleep(0.1)
        members.quorum.log += members[1].consensus.take_proposed()
        members.quorum.elect(2)
        assert type(await failure(waiting)) is UnavailableError
        images = [each.images.committed for each in members.coordinators.values()]
        assert [image.next_producer_id for image in images] == [2, 2, 2]
        members.quorum.holds = False
        assert (await start(members[2])).answer == 2

    simulate_members(scenario)


def test_who_is_active_for_the_second_time_decides_on_what_happened_meanwhile() -> None:
    async def scenario(members: Members) -> None:
        await start(members[1])
        members.quorum.elect(2)
        await start(members[2])
        members.quorum.elect(1)
        assert (await start(members[1])).answer == 3

    simulate_members(scenario)


def test_an_answer_that_changes_nothing_waits_for_what_it_rests_on() -> None:
    async def scenario(members: Members) -> None:
        members.quorum.holds = True
        change = start(members[1])
        await asyncio.sleep(0.1)
        seen = start(members[1], only_look=True)
        await asyncio.sleep(1)
        assert not seen.done()
        members.quorum.holds = False
        members.quorum.commit()
        assert (await seen).answer == 2
        assert (await seen).index == (await change).index

    simulate_members(scenario)


def test_an_answer_that_changes_nothing_is_not_given_by_one_who_was_deposed_unawares() -> None:
    async def scenario(members: Members) -> None:
        members.quorum.cut(1)
        members.quorum.elect(2)
        await start(members[2])
        seen = start(members[1], only_look=True)
        await asyncio.sleep(1)
        assert not seen.done()
        members.quorum.heal(1)
        error = await failure(seen)
        assert (type(error), error.active_address) == (NotActiveError, "coordinator-2:7101")

    simulate_members(scenario)


def test_an_answer_that_changes_nothing_is_refused_without_a_quorum() -> None:
    async def scenario(members: Members) -> None:
        members.quorum.cut(1)
        assert type(await failure(start(members[1], only_look=True))) is NoQuorumError

    simulate_members(scenario)


def test_a_command_that_raises_changes_nothing() -> None:
    def stumble(_image: ClusterImage, reason: str) -> Decision[int]:
        raise UnavailableError(reason)

    async def scenario(members: Members) -> None:
        coordinator = members[1]
        command = partial(stumble, reason="not now")
        assert (await failure(coordinator.machine.spawn(coordinator.controller.execute(command)))).message
        assert (await start(coordinator)).answer == 1

    simulate_members(scenario)

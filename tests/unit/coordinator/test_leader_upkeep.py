"""Elections of last resort, as the active coordinator holds them by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from streamkeep_common.image import ClusterImage
from streamkeep_common.methods import CREATE_TOPICS, REPORT_REPLICAS
from streamkeep_coordinator import leader_upkeep
from streamkeep_coordinator.duty_tasks import DutyTasks
from streamkeep_coordinator.metadata import Decision
from streamkeep_coordinator.metadata.last_resort import Key, LastResort, Winner, elect_winners
from streamkeep_proto.v1.coordinator_pb2 import (
    CreateTopicsRequest,
    NewTopic,
    ReplicaReport,
    ReportReplicasRequest,
    ReportReplicasResponse,
)
from tests.unit.coordinator.brokers import Broker
from tests.unit.coordinator.members import Members, simulate_members
from tests.unit.coordinator.world import World, simulate


def test_nothing_begins_on_a_duty_that_has_ended() -> None:
    begun: list[str] = []

    async def work() -> None:
        begun.append("late")

    async def run() -> None:
        tasks = DutyTasks("a duty", lambda _: None)
        tasks.cancel()
        tasks.spawn(work)
        await tasks.wait_ended()

    asyncio.run(run())
    assert begun == []


def test_a_report_that_is_heard_when_the_duty_has_ended_holds_up_no_stop() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        coordinator = members[1]
        upkeep = coordinator.duty.upkeep()
        topic_id = await create(members)
        members.quorum.elect(2)
        request = ReportReplicasRequest(broker_id=1, broker_epoch=1)
        request.replicas.add(topic_id=topic_id, partition_epoch=99)
        response = ReportReplicasResponse()
        response.outcomes.add(topic_id=topic_id)
        coordinator.machine.process.call(upkeep.hear, request, response)
        async with asyncio.timeout(1):
            await coordinator.duty.close()

    simulate_members(scenario)


async def create(members: Members) -> bytes:
    request = CreateTopicsRequest(topics=[NewTopic(name="t", partitions=1, replication_factor=1)])
    response = await members[1].client.call(CREATE_TOPICS, request, timeout_s=5)
    return response.outcomes[0].topic_id


async def lost_and_found(world: World, partitions: int) -> Broker:
    """A broker whose disk was away and is back: it has reported what it has, and is not up yet."""
    (broker,) = await world.live_brokers(1)
    topic_id = (await world.create("t", partitions=partitions)).outcomes[0].topic_id
    broker.heartbeat.offline_directory_ids.append(bytes([1]) * 16)
    async with asyncio.timeout(2):
        while (await world.partition("t")).leader:
            await asyncio.sleep(0.01)
    broker.kill()
    await asyncio.sleep(5)
    newcomer = world.broker(1, incarnation=2)
    await newcomer.open()
    reports = [
        ReplicaReport(
            topic_id=topic_id,
            partition=number,
            partition_epoch=(await world.partition("t", number)).partition_epoch,
            last_epoch=1,
        )
        for number in range(partitions)
    ]
    request = ReportReplicasRequest(
        broker_id=1, broker_epoch=newcomer.registered.broker_epoch, replicas=reports
    )
    answer = await world.client.call(REPORT_REPLICAS, request, timeout_s=5)
    assert not any(each.HasField("error") for each in answer.outcomes)
    return newcomer


def test_elections_of_last_resort_are_held_so_many_at_a_time() -> None:
    passes: list[int] = []

    def noted(image: ClusterImage, winners: Mapping[Key, Winner]) -> Decision[int]:
        passes.append(len(winners))
        return elect_winners(image, winners)

    async def scenario(world: World) -> None:
        newcomer = await lost_and_found(world, 5)
        await newcomer.join()
        async with asyncio.timeout(2):
            while not all([(await world.partition("t", number)).leader for number in range(5)]):
                await asyncio.sleep(0.05)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leader_upkeep, "MAX_ELECTIONS_PER_PASS", 2)
        patch.setattr(leader_upkeep, "elect_winners", noted)
        simulate(scenario)
    assert passes == [2, 2, 1]


def test_nobody_looks_for_winners_where_nothing_is_new() -> None:
    looks: list[ClusterImage] = []
    winners = LastResort.winners

    def noted(self: LastResort, image: ClusterImage) -> dict[Key, Winner]:
        looks.append(image)
        return winners(self, image)

    async def scenario(world: World) -> None:
        await lost_and_found(world, 1)
        await asyncio.sleep(2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LastResort, "winners", noted)
        simulate(scenario)
    assert 1 <= len(looks) <= 3

"""Broker sessions against a whole coordinator, in simulated time."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from streamkeep_common.errors import UnavailableError
from streamkeep_common.methods import ALLOCATE_PRODUCER_IDS, SESSION
from streamkeep_common.seams import RpcError, Status
from streamkeep_coordinator.quorum.driver import Driver
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    AllocateProducerIdsRequest,
    BrokerHeartbeat,
    PartitionInfo,
    SessionRequest,
    SessionResponse,
)
from tests.unit.coordinator.brokers import Broker
from tests.unit.coordinator.world import World, simulate


async def fenced(world: World, broker_id: int, within_s: float) -> float:
    """Seconds until the leader of partition 0 of topic t on that broker is gone."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(within_s):
        while any(p.leader == broker_id for p in await partitions(world)):
            pass
    return loop.time() - started


async def partitions(world: World) -> list[PartitionInfo]:
    return [await world.partition("t", number) for number in range(3)]


async def with_topic(world: World) -> list[Broker]:
    brokers = await world.live_brokers(3)
    await world.create("t", partitions=3)
    return brokers


def test_a_broker_is_unfenced_when_it_has_caught_up_and_not_before() -> None:
    async def scenario(world: World) -> None:
        broker = world.broker(1)
        registered = await broker.open()
        assert (registered.broker_epoch, registered.session_timeout_ms) == (1, 3000)
        broker.heartbeat.metadata_index = registered.metadata_index - 1
        assert (await broker.beat()).status.fenced
        broker.heartbeat.metadata_index = registered.metadata_index
        assert not (await broker.beat()).status.fenced

    simulate(scenario)


def test_a_killed_broker_is_fenced_after_the_grace() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        brokers[0].kill()
        assert 0.3 <= await fenced(world, 1, within_s=5) < 0.5
        assert (await world.partition("t")).elr == [1]

    simulate(scenario)


def test_a_paused_broker_is_fenced_after_the_session_timeout() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        brokers[0].machine.process.pause()
        assert 2.5 <= await fenced(world, 1, within_s=5) < 3.3

    simulate(scenario)


def test_a_broker_that_cannot_be_fenced_for_the_moment_is_fenced_later() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Driver, "propose", overloaded)
            brokers[0].kill()
            await asyncio.sleep(2)
        assert await fenced(world, 1, within_s=1) < 1

    simulate(scenario)


def test_a_broker_that_is_back_before_it_could_be_fenced_is_not_fenced() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        before = await partitions(world)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Driver, "propose", overloaded)
            world.simulation.fabric.break_connections("broker-1", "coordinator")
            await asyncio.sleep(1)
            await brokers[0].join()
        await asyncio.sleep(5)
        assert await partitions(world) == before

    simulate(scenario)


def overloaded(_driver: Driver, _records: object) -> NoReturn:
    raise UnavailableError("too many metadata changes wait")


def test_a_paused_coordinator_fences_nobody() -> None:
    async def scenario(world: World) -> None:
        await with_topic(world)
        before = await partitions(world)
        world.machine.process.pause()
        await asyncio.sleep(8)
        world.machine.process.resume()
        await asyncio.sleep(2)
        assert await partitions(world) == before

    simulate(scenario)


def test_a_broken_connection_that_is_back_in_time_changes_nothing() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        before = await partitions(world)
        world.simulation.fabric.break_connections("broker-1", "coordinator")
        await asyncio.sleep(0.1)
        await brokers[0].join()
        await asyncio.sleep(5)
        assert await partitions(world) == before

    simulate(scenario)


def test_a_restarted_coordinator_lets_brokers_come_back() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        before = await partitions(world)
        await world.restart(power_cut=True)
        await asyncio.sleep(0.5)
        for broker in brokers:
            await broker.join()
        await asyncio.sleep(5)
        assert await partitions(world) == before

    simulate(scenario)


def test_a_restarted_coordinator_fences_who_does_not_come_back() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        await world.restart()
        for broker in brokers[1:]:
            await broker.join()
        assert 0.4 < await fenced(world, 1, within_s=5) < 0.9

    simulate(scenario)


def test_a_new_incarnation_gets_new_leader_epochs_for_all_that_it_led() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        before = await world.partition("t")
        brokers[0].kill()
        await asyncio.sleep(0.05)
        newcomer = world.broker(1, incarnation=2)
        await newcomer.join()
        after = await world.partition("t")
        assert newcomer.registered.broker_epoch == 2
        assert (before.leader, after.leader) == (1, 1)
        assert after.leader_epoch > before.leader_epoch

    simulate(scenario)


def test_a_second_process_with_the_same_id_is_refused_and_the_first_does_not_notice() -> None:
    async def scenario(world: World) -> None:
        await with_topic(world)
        twin = world.broker(1, incarnation=2)
        with pytest.raises(AssertionError, match="BROKER_ID_IN_USE"):
            await twin.open()
        await asyncio.sleep(5)
        assert (await world.partition("t")).leader == 1

    simulate(scenario)


def test_a_broker_that_stops_in_order_is_fenced_at_once() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        broker = brokers[0]
        broker.beating.cancel()
        broker.heartbeat.wants_shutdown = True
        await asyncio.sleep(0.1)
        await broker.open()
        while not (await broker.beat()).status.may_shut_down:
            pass
        await broker.stream.half_close()
        assert await fenced(world, 1, within_s=1) < 0.1

    simulate(scenario)


def test_a_failed_directory_takes_its_partitions_offline() -> None:
    async def scenario(world: World) -> None:
        brokers = await with_topic(world)
        brokers[0].heartbeat.offline_directory_ids.append(bytes([1]) * 16)
        await fenced(world, 1, within_s=1)
        assert (await world.partition("t", 1)).leader == 2

    simulate(scenario)


def test_blocks_of_producer_ids_never_overlap_and_old_epochs_get_none() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(2)
        request = AllocateProducerIdsRequest(broker_id=1, broker_epoch=1)
        calls = [world.client.call(ALLOCATE_PRODUCER_IDS, request, timeout_s=5) for _ in range(5)]
        blocks = sorted(each.first_producer_id for each in await asyncio.gather(*calls))
        assert blocks == [1, 1001, 2001, 3001, 4001]
        await world.restart()
        again = await world.client.call(ALLOCATE_PRODUCER_IDS, request, timeout_s=5)
        assert again.first_producer_id == 5001
        stale = AllocateProducerIdsRequest(broker_id=1, broker_epoch=7)
        answer = await world.client.call(ALLOCATE_PRODUCER_IDS, stale, timeout_s=5)
        assert answer.error.code == errors_pb2.STALE_BROKER_EPOCH

    simulate(scenario)


async def first_answer(world: World, *requests: SessionRequest) -> SessionResponse:
    stream = world.client.open(SESSION)
    for request in requests:
        await stream.send(request)
    response = await stream.receive()
    assert response is not None
    return response


def test_a_session_begins_with_a_registration() -> None:
    async def scenario(world: World) -> None:
        answer = await first_answer(world, SessionRequest(heartbeat=BrokerHeartbeat()))
        assert answer.error.code == errors_pb2.INVALID_REQUEST

    simulate(scenario)


def test_a_second_registration_on_a_stream_ends_it() -> None:
    async def scenario(world: World) -> None:
        broker = world.broker(1)
        await broker.open()
        await broker.stream.send(SessionRequest(register=broker.register))
        answer = await broker.stream.receive()
        assert answer is not None
        assert answer.error.code == errors_pb2.INVALID_REQUEST
        assert await broker.stream.receive() is None

    simulate(scenario)


def test_who_opens_a_stream_and_says_nothing_is_cut_off() -> None:
    async def scenario(world: World) -> None:
        stream = world.client.open(SESSION)
        with pytest.raises(RpcError) as raised:
            async with asyncio.timeout(10):
                await stream.receive()
        assert raised.value.status is Status.DEADLINE_EXCEEDED

    simulate(scenario)


def test_too_many_failed_directories_end_the_session_with_a_reason() -> None:
    async def scenario(world: World) -> None:
        broker = world.broker(1)
        await broker.open()
        broker.heartbeat.offline_directory_ids.extend(bytes([n]) * 16 for n in range(65))
        assert (await broker.beat()).error.code == errors_pb2.INVALID_REQUEST

    simulate(scenario)


def test_the_newest_of_two_heartbeats_that_come_together_counts() -> None:
    async def scenario(world: World) -> None:
        broker = world.broker(1)
        registered = await broker.open()
        for index in (0, registered.metadata_index):
            heartbeat = BrokerHeartbeat(metadata_index=index)
            await broker.stream.send(SessionRequest(heartbeat=heartbeat))
        async with asyncio.timeout(0.1):
            while (response := await broker.stream.receive()) is not None and response.status.fenced:
                pass

    for seed in range(20):
        simulate(scenario, seed)

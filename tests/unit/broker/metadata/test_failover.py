"""Coordinators die, hang and take turns; a broker is back in session before anybody misses it."""

from __future__ import annotations

import logging

import pytest

from streamkeep_common.errors import (
    NoQuorumError,
    NotActiveError,
    NotInitializedError,
    RemovedError,
)
from streamkeep_common.methods import INIT_PRODUCER
from streamkeep_proto.v1.broker_pb2 import InitProducerRequest
from streamkeep_proto.v1.metadata_pb2 import FeatureLevelRecord, MetadataRecord, QuorumMember, QuorumRecord
from tests.sim.simulation import Machine
from tests.unit.broker.clients import item, make_batch
from tests.unit.broker.coordinator import FakeCoordinator
from tests.unit.broker.world import COORDINATOR, TOPIC, World, simulated

BOTH = {"coordinators": f"{COORDINATOR},second:7101"}


async def start_second(world: World, name: str = "second") -> tuple[FakeCoordinator, Machine]:
    """A standby that names the first one."""
    machine = world.simulation.machine(name)
    second = FakeCoordinator(machine.network)
    second.refusal = second.allocate_error = NotActiveError("not me", active_address=COORDINATOR)
    await machine.spawn(second.start(f"{name}:7101"))
    return second, machine


def move(world: World, second: FakeCoordinator) -> None:
    """The second one is active from now on."""
    second.take_over(world.coordinator)


@simulated
async def test_a_broker_follows_to_the_new_active_coordinator_at_once(world: World) -> None:
    second, _ = await start_second(world)
    await world.start(broker=BOTH)
    index = world.broker.watch.image.index
    move(world, second)
    await world.coordinator.step_down("second:7101")
    await world.until(lambda: len(second.registrations) == 1, within_s=0.1)
    assert second.registrations[0].incarnation_id == world.coordinator.registrations[0].incarnation_id
    await world.until(lambda: len(second.watches) == 1, within_s=0.1)
    assert second.watches[0].after_index == index, "the watch resumes, it does not start over"


@simulated
async def test_a_new_address_is_followed_although_nobody_had_listed_it(world: World) -> None:
    second, _ = await start_second(world)
    await world.start()
    move(world, second)
    await world.coordinator.step_down("second:7101")
    await world.until(lambda: len(second.registrations) == 1, within_s=0.1)


@simulated
async def test_a_hung_coordinator_is_left_after_a_second(world: World) -> None:
    """The others name it until they have elected another."""
    machine = world.simulation.machine("first")
    first = FakeCoordinator(machine.network)
    await machine.spawn(first.start("first:7101"))
    second, _ = await start_second(world)
    second.refusal = NotActiveError("not me", active_address="first:7101")
    await world.start_broker(coordinators="first:7101,second:7101")
    machine.process.pause()
    await world.client.clock.sleep(1.2)
    second.take_over(first)
    await world.until(lambda: len(second.registrations) == 1, within_s=0.4)
    machine.process.resume()


@simulated
async def test_a_hung_standby_does_not_hold_up_the_way_to_the_active_one(world: World) -> None:
    _, machine = await start_second(world, "hung")
    second, _ = await start_second(world)
    await world.start(broker={"coordinators": f"{COORDINATOR},hung:7101,second:7101"})
    machine.process.pause()
    move(world, second)
    await world.coordinator.stop()
    await world.until(lambda: len(second.registrations) == 1, within_s=0.6)
    machine.process.resume()


@simulated
async def test_the_members_of_the_quorum_are_learned_from_the_metadata(world: World) -> None:
    second, _ = await start_second(world)
    await world.start()
    addresses = (COORDINATOR, "second:7101")
    members = [
        QuorumMember(coordinator_id=number, directory_id=bytes([number]) * 16, address=address, voter=True)
        for number, address in enumerate(addresses, 1)
    ]
    level = MetadataRecord(feature_level=FeatureLevelRecord(level=2))
    quorum = MetadataRecord(quorum=QuorumRecord(cluster_epoch=1, members=members))
    index = world.coordinator.commit(level, quorum)
    await world.until(lambda: world.broker.watch.image.index == index)
    move(world, second)
    await world.coordinator.stop()
    await world.until(lambda: len(second.registrations) == 1, within_s=0.5)


@simulated
async def test_while_nobody_is_active_all_are_tried_again_soon_but_not_in_a_frenzy(world: World) -> None:
    second, _ = await start_second(world)
    await world.start(broker=BOTH)
    await world.coordinator.step_down("second:7101")
    before = world.coordinator.attempts + second.attempts
    await world.client.clock.sleep(10)
    assert world.coordinator.attempts + second.attempts - before < 400
    move(world, second)
    await world.until(lambda: len(second.registrations) == 1, within_s=0.2)


@simulated
async def test_sessions_that_end_as_soon_as_they_begin_are_not_opened_in_a_frenzy(world: World) -> None:
    await world.start()
    world.coordinator.fickle = True
    await world.coordinator.step_down(COORDINATOR)
    world.coordinator.refusal = None
    before = world.coordinator.attempts
    await world.client.clock.sleep(10)
    assert world.coordinator.attempts - before < 100


@simulated
async def test_coordinators_that_cannot_serve_are_waited_for(world: World) -> None:
    second, third = (await start_second(world))[0], (await start_second(world, "third"))[0]
    world.coordinator.refusal = NotInitializedError("it belongs to no cluster yet")
    second.refusal, third.refusal = NoQuorumError("alone"), RemovedError("by an operator")
    await world.coordinator.start(COORDINATOR)
    starting = world.client.spawn(world.start_broker(coordinators=f"{BOTH['coordinators']},third:7101"))
    await world.client.clock.sleep(20)
    assert not starting.done()
    assert world.failures == []
    world.coordinator.refusal = None
    await world.until(starting.done, within_s=1)


@simulated
async def test_a_coordinator_of_another_cluster_is_passed_over(world: World) -> None:
    await world.start()
    await world.stop_broker()
    stranger = FakeCoordinator(world.simulation.machine("stranger").network, cluster_id="B" * 22)
    await stranger.start("stranger:7101")
    await world.coordinator.stop()
    starting = world.client.spawn(world.start_broker(coordinators=f"stranger:7101,{COORDINATOR}"))
    await world.client.clock.sleep(5)
    assert world.failures == [], "our own may only be down"
    await world.coordinator.start(COORDINATOR)
    await world.until(starting.done, within_s=1)


def test_a_coordinator_of_an_older_epoch_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        world.coordinator.cluster_epoch = 2
        second, _ = await start_second(world)
        await world.start(broker=BOTH)
        await world.stop_broker()
        await world.coordinator.stop()
        move(world, second)
        starting = world.client.spawn(world.start_broker(coordinators=BOTH["coordinators"]))
        await world.client.clock.sleep(5)
        assert not starting.done()
        assert {each.cluster_epoch for each in second.registrations} == {2}, "kept with the directories"
        await world.coordinator.start(COORDINATOR)
        await world.until(starting.done, within_s=1)
        assert world.failures == []

    with caplog.at_level(logging.WARNING):
        simulated(scenario)()
    told = [record.message for record in caplog.records if "second:7101" in record.message]
    assert len(told) == 1
    assert "recovered by force and is at epoch 2" in told[0]


@simulated
async def test_a_block_of_producer_ids_is_had_in_spite_of_an_election(world: World) -> None:
    second, _ = await start_second(world)
    await world.start(broker=BOTH)
    await world.coordinator.step_down()
    asking = world.client.spawn(world.channel().call(INIT_PRODUCER, InitProducerRequest(), timeout_s=5))
    await world.client.clock.sleep(1.2)
    assert not asking.done()
    move(world, second)
    await world.until(asking.done, within_s=1)
    assert asking.result().producer_id == 1


@simulated
async def test_without_any_coordinator_records_are_written_and_read(world: World) -> None:
    await world.start()
    await world.coordinator.stop()
    producer, fetcher = world.producer(), world.fetcher()
    await fetcher.start(TOPIC)
    for minute in range(3):
        await world.client.clock.sleep(60)
        (result,) = await producer.produce(item(TOPIC, make_batch([b"a"], sequence=minute)))
        assert result.base_offset == minute
        assert producer.unconfirmed
    assert await fetcher.until_values(3) == [b"a"] * 3
    assert world.failures == []

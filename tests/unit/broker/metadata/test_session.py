"""The broker's session with the coordinators."""

from __future__ import annotations

from streamkeep_common.errors import (
    BrokerIdInUseError,
    ClusterMismatchError,
    NotActiveError,
    StaleBrokerEpochError,
)
from tests.unit.broker.coordinator import FakeCoordinator
from tests.unit.broker.world import COORDINATOR, World, simulated


@simulated
async def test_a_broker_says_who_and_where_it_is(world: World) -> None:
    await world.coordinator.start(COORDINATOR)
    await world.start_broker(rack="north")
    (registration,) = world.coordinator.registrations
    assert registration.broker_id == 1
    assert registration.address == "broker1:7201"
    assert registration.rack == "north"
    assert len(registration.incarnation_id) == 16
    assert [len(directory_id) for directory_id in registration.directory_ids] == [16]
    assert registration.clean_start
    assert registration.cluster_id == ""


@simulated
async def test_a_broker_started_again_is_another_incarnation_of_the_same_cluster(world: World) -> None:
    await world.start()
    await world.stop_broker()
    await world.start_broker()
    world.kill_broker()
    await world.start_broker()
    first, second, third = world.coordinator.registrations
    assert len({first.incarnation_id, second.incarnation_id, third.incarnation_id}) == 3
    assert second.cluster_id == third.cluster_id == world.coordinator.image.cluster_id
    assert first.directory_ids == second.directory_ids == third.directory_ids
    assert (second.clean_start, third.clean_start) == (True, False)


@simulated
async def test_a_broken_session_is_opened_again_by_the_same_incarnation(world: World) -> None:
    await world.start()
    await world.coordinator.stop()
    await world.client.clock.sleep(1)
    await world.coordinator.start(COORDINATOR)
    await world.until(lambda: len(world.coordinator.registrations) == 2, within_s=1)
    first, second = world.coordinator.registrations
    assert first.incarnation_id == second.incarnation_id


@simulated
async def test_a_coordinator_that_falls_silent_is_left(world: World) -> None:
    await world.start()
    world.coordinator.silent = True
    await world.until(lambda: len(world.coordinator.registrations) == 2, within_s=3)


@simulated
async def test_the_active_coordinator_is_found_by_trying_and_by_hints(world: World) -> None:
    passive = FakeCoordinator(world.simulation.machine("passive").network)
    passive.refusal = NotActiveError("not me", active_address=COORDINATOR)
    await passive.start("passive:7101")
    await world.coordinator.start(COORDINATOR)
    await world.start_broker(coordinators="nobody:7101,passive:7101")
    assert len(world.coordinator.registrations) == 1


@simulated
async def test_an_id_that_another_process_holds_is_waited_for_and_then_given_up(world: World) -> None:
    await world.coordinator.start(COORDINATOR)
    world.coordinator.refusal = BrokerIdInUseError("broker 1 is live at elsewhere:7201")
    starting = world.client.spawn(world.start_broker())
    await world.client.clock.sleep(2)
    assert world.failures == []
    await world.until(lambda: len(world.failures) == 1, within_s=5)
    assert "live at elsewhere" in str(world.failures[0])
    starting.cancel()


@simulated
async def test_a_session_that_ends_in_time_lets_the_newcomer_in(world: World) -> None:
    await world.coordinator.start(COORDINATOR)
    world.coordinator.refusal = BrokerIdInUseError("the old session is still open")
    starting = world.client.spawn(world.start_broker())
    await world.client.clock.sleep(2)
    world.coordinator.refusal = None
    await starting
    assert world.failures == []


@simulated
async def test_a_newer_incarnation_ends_this_one(world: World) -> None:
    await world.start()
    world.coordinator.refusal = StaleBrokerEpochError("broker 1 registered again")
    await world.coordinator.stop()
    await world.coordinator.start(COORDINATOR)
    await world.until(lambda: len(world.failures) == 1)
    assert isinstance(world.failures[0], StaleBrokerEpochError)


@simulated
async def test_a_broker_with_another_clusters_directory_ends_with_a_clear_sentence(world: World) -> None:
    await world.start()
    await world.stop_broker()
    await world.coordinator.stop()
    stranger = FakeCoordinator(world.simulation.machine("stranger").network, cluster_id="B" * 22)
    await stranger.start("stranger:7101")
    starting = world.client.spawn(world.start_broker(coordinators="stranger:7101"))
    await world.until(lambda: len(world.failures) == 1)
    (failure,) = world.failures
    assert isinstance(failure, ClusterMismatchError)
    assert "A" * 22 in str(failure)
    assert "B" * 22 in str(failure)
    starting.cancel()


@simulated
async def test_a_stopping_broker_asks_first_and_does_not_wait_long_for_an_answer(world: World) -> None:
    await world.start()
    world.coordinator.may_shut_down = False
    before = world.client.clock.monotonic()
    await world.stop_broker()
    assert any(heartbeat.wants_shutdown for heartbeat in world.coordinator.heartbeats)
    assert world.client.clock.monotonic() - before < 1.5

"""No broker is fenced because a coordinator died, hung or was cut off; and who is really gone is fenced."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_coordinator.broker_session import BrokerSession
from streamkeep_coordinator.sessions import Sessions
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import BrokerHeartbeat
from tests.unit.coordinator.brokers import Broker
from tests.unit.coordinator.members import Members, simulate_members, until


async def move(members: Members, brokers: list[Broker], to: int) -> None:
    """The brokers open their sessions anew, at another coordinator."""
    for broker in brokers:
        broker.beating.cancel()
        broker.address = members[to].address
        await broker.join()


def break_all(members: Members, at: int, brokers: list[Broker]) -> None:
    for broker in brokers:
        members.simulation.fabric.break_connections(broker.machine.process.name, f"coordinator-{at}")


async def last_word(broker: Broker) -> errors_pb2.Error:
    """Why the session ended."""
    broker.beating.cancel()
    while broker.refused.code == errors_pb2.NONE:
        response = await broker.stream.receive()
        assert response is not None, "the stream ended without a word"
        broker.refused = response.error
    return broker.refused


async def first_word(broker: Broker) -> errors_pb2.Error:
    """Why a registration is refused."""
    with pytest.raises(AssertionError):
        await broker.open()
    return broker.refused


def test_the_streams_of_a_coordinator_that_ceases_to_be_active_end_with_the_address_of_the_next() -> None:
    async def scenario(members: Members) -> None:
        brokers = await members.live_brokers(3)
        members.quorum.elect(2)
        for broker in brokers:
            error = await last_word(broker)
            assert (error.code, error.active_address) == (errors_pb2.NOT_ACTIVE, "coordinator-2:7101")
        assert members[1].duty.open_sessions == 0

    simulate_members(scenario)


def test_a_broker_that_comes_to_the_wrong_coordinator_is_told_the_right_one() -> None:
    async def scenario(members: Members) -> None:
        error = await first_word(members.broker(1, at=3))
        assert (error.code, error.active_address) == (errors_pb2.NOT_ACTIVE, "coordinator-1:7101")

    simulate_members(scenario)


def test_nobody_is_fenced_who_comes_to_the_new_active_coordinator_in_time() -> None:
    async def scenario(members: Members) -> None:
        brokers = await members.live_brokers(3)
        members.quorum.elect(2)
        await asyncio.sleep(0.5)
        await move(members, brokers, to=2)
        await asyncio.sleep(10)
        assert members.fenced() == []
        assert [broker.registered.broker_epoch for broker in brokers] == [1, 1, 1]

    simulate_members(scenario)


def test_a_new_active_coordinator_fences_who_is_missing_once_most_have_come() -> None:
    async def scenario(members: Members) -> None:
        brokers = await members.live_brokers(3)
        brokers[2].kill()
        members.quorum.elect(2)
        await move(members, brokers[:2], to=2)
        assert 0.6 <= await until(lambda: members.fenced(2) == [3]) < 0.9

    simulate_members(scenario)


def test_a_new_active_coordinator_to_whom_few_have_come_waits_for_the_whole_timeout() -> None:
    async def scenario(members: Members) -> None:
        brokers = await members.live_brokers(3)
        members.quorum.elect(2)
        await move(members, brokers[:1], to=2)
        assert 2.8 <= await until(lambda: members.fenced(2) == [2, 3]) < 3.2

    simulate_members(scenario)


def test_each_change_of_leadership_begins_the_windows_anew() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(3)
        for coordinator_id in (2, 3, 1, 2, 3):
            members.quorum.elect(coordinator_id)
            await asyncio.sleep(2.5)
        assert members.fenced() == []

    simulate_members(scenario)


def test_a_decision_to_fence_does_not_survive_a_change_of_leadership() -> None:
    async def scenario(members: Members) -> None:
        brokers = await members.live_brokers(3)
        members.quorum.holds = True
        break_all(members, 1, brokers[:1])
        await asyncio.sleep(1.0)
        members.quorum.elect(2)
        members.quorum.holds = False
        await move(members, brokers, to=2)
        await asyncio.sleep(10)
        assert members.fenced() == []

    simulate_members(scenario)


def test_a_coordinator_that_hung_and_wakes_fences_nobody_and_serves_no_session() -> None:
    async def scenario(members: Members) -> None:
        brokers = await members.live_brokers(3)
        members.pause(1)
        await asyncio.sleep(1.5)
        members.quorum.elect(2)
        await move(members, brokers, to=2)
        await asyncio.sleep(8)
        before = len(members.quorum.log)
        members.resume(1)
        await asyncio.sleep(0.5)
        members.quorum.heal(1)
        await asyncio.sleep(10)
        assert members.fenced() == []
        assert len(members.quorum.log) == before
        assert members[1].duty.open_sessions == 0

    simulate_members(scenario)


def test_a_coordinator_that_was_deposed_unawares_fences_nobody() -> None:
    """Cut off from the other coordinators, it still believes itself active, and all brokers leave it."""

    async def scenario(members: Members) -> None:
        brokers = await members.live_brokers(3)
        members.quorum.cut(1)
        members.quorum.elect(2)
        await move(members, brokers, to=2)
        await asyncio.sleep(10)
        members.quorum.heal(1)
        assert members.fenced() == []

    simulate_members(scenario)


def test_a_coordinator_that_lost_all_its_sessions_hands_leadership_on_and_nobody_is_fenced() -> None:
    async def scenario(members: Members) -> None:
        brokers = await members.live_brokers(3)
        for broker in brokers:
            members.simulation.fabric.cut_both(broker.machine.process.name, "coordinator-1")
        break_all(members, 1, brokers)
        took = await until(lambda: members.quorum.active_id == 2)
        assert 0.2 <= took < 0.5
        await move(members, brokers, to=2)
        await asyncio.sleep(10)
        assert members.fenced() == []

    simulate_members(scenario)


def test_a_coordinator_that_no_broker_reaches_hands_leadership_on_before_it_would_fence_them() -> None:
    """The network swallows what they send: no stream breaks."""

    async def scenario(members: Members) -> None:
        brokers = await members.live_brokers(3)
        for broker in brokers:
            members.simulation.fabric.cut_both(broker.machine.process.name, "coordinator-1")
        await until(lambda: members.quorum.active_id == 2, within_s=2.5)
        await move(members, brokers, to=2)
        await asyncio.sleep(10)
        assert members.fenced() == []

    simulate_members(scenario)


def test_with_all_brokers_down_leadership_is_handed_on_once_and_stays_there() -> None:
    async def scenario(members: Members) -> None:
        for broker in await members.live_brokers(3):
            broker.kill()
        await asyncio.sleep(30)
        assert [each.consensus.transfers for each in members.coordinators.values()] == [[2], [], []]
        assert members.fenced() == [1, 2, 3]

    simulate_members(scenario)


def test_a_lone_coordinator_that_has_nobody_to_hand_leadership_to_goes_on_judging() -> None:
    async def scenario(members: Members) -> None:
        (broker,) = await members.live_brokers(1)
        broker.kill()
        assert 2.4 <= await until(lambda: members.fenced() == [1]) < 3.2

    simulate_members(scenario, count=1)


def test_a_judge_that_fails_ends_the_process() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Sessions, "tick", stumble)
            await until(lambda: bool(members[1].failures))
        assert [str(error) for error in members[1].failures] == ["a bug"]
        members[1].failures.clear()

    simulate_members(scenario)


def stumble(_sessions: Sessions, _now: float) -> list[tuple[int, int]]:
    raise ValueError("a bug")


def test_a_registration_that_is_overtaken_by_a_change_of_leadership_is_refused() -> None:
    async def scenario(members: Members) -> None:
        members.quorum.holds = True
        opening = asyncio.create_task(first_word(members.broker(1)))
        await asyncio.sleep(0.2)
        members.quorum.elect(2)
        assert (await opening).code == errors_pb2.UNAVAILABLE

    simulate_members(scenario)


def test_a_broker_learns_the_epoch_of_the_cluster_and_obeys_no_coordinator_of_an_older_one() -> None:
    async def scenario(members: Members) -> None:
        broker = members.broker(1)
        assert (await broker.open()).cluster_epoch == 1
        members[1].consensus.cluster_epoch = 2
        again = members.broker(1)
        assert (await again.open()).cluster_epoch == 2
        straggler = members.broker(2)
        straggler.register.cluster_epoch = 3
        assert (await first_word(straggler)).code == errors_pb2.CLUSTER_MISMATCH

    simulate_members(scenario)


def test_who_is_active_no_more_without_knowing_calls_no_broker_id_taken() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        members.quorum.cut(1)
        members.quorum.elect(2)
        newcomer = asyncio.create_task(first_word(members.broker(1, incarnation=2)))
        await asyncio.sleep(0.2)
        assert not newcomer.done()
        members.quorum.heal(1)
        assert (await newcomer).code == errors_pb2.NOT_ACTIVE

    simulate_members(scenario)


def test_sessions_end_when_the_coordinator_stops() -> None:
    async def scenario(members: Members) -> None:
        brokers = await members.live_brokers(2)
        await members[1].machine.spawn(members[1].duty.close())
        for broker in brokers:
            assert (await last_word(broker)).code == errors_pb2.SHUTTING_DOWN

    simulate_members(scenario)


def test_a_heartbeat_that_fails_in_an_unforeseen_way_ends_the_session_with_a_word() -> None:
    def stumble(_session: BrokerSession, _heartbeat: BrokerHeartbeat) -> None:
        raise ValueError("a bug")

    async def scenario(members: Members) -> None:
        (broker,) = await members.live_brokers(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BrokerSession, "_carry_out", stumble)
            await broker.beating
            assert broker.refused.code == errors_pb2.UNKNOWN_SERVER_ERROR

    simulate_members(scenario)

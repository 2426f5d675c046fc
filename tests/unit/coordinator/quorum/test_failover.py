"""Coordinators that die, hang, stop or are cut off."""

from __future__ import annotations

import logging

import pytest

from streamkeep_common.errors import InvalidSettingError
from streamkeep_common.methods import GET_METADATA
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import GetMetadataRequest
from tests.unit.coordinator.quorum.trio import Quorum, host, simulate


def test_when_the_active_coordinator_dies_another_one_is_active_in_time() -> None:
    async def scenario(quorum: Quorum) -> None:
        first = await quorum.active()
        await quorum.client.clock.sleep(2)
        died = quorum.simulation.loop.time()
        quorum.nodes[first].kill()
        await quorum.active(besides=first)
        assert quorum.simulation.loop.time() - died <= 1.5
        await quorum.nodes[first].start()
        await quorum.until_all_follow()

    for seed in range(5):
        simulate(scenario, seed=seed)


def test_the_log_says_who_is_active_and_who_is_not_any_more(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(quorum: Quorum) -> None:
        first = await quorum.active()
        await quorum.transfer(0)
        second = await quorum.active(besides=first)
        said = [each.getMessage() for each in caplog.records if "active" in each.getMessage()]
        assert said == [
            f"coordinator {first} is active in term 2",
            f"coordinator {first} is not active any more",
            f"coordinator {second} is active in term 3",
        ]

    caplog.set_level(logging.INFO, "streamkeep_coordinator.quorum.driver")
    simulate(scenario)


def test_a_coordinator_that_stops_does_not_wait_for_the_streams_of_the_others() -> None:
    async def scenario(quorum: Quorum) -> None:
        await quorum.until_all_follow()
        for node in quorum.nodes.values():
            began = quorum.simulation.loop.time()
            await node.stop()
            took = quorum.simulation.loop.time() - began
            assert took < 0.6, f"coordinator {node.id} stopped after {took} s"

    simulate(scenario)


def test_one_that_stood_still_does_not_disturb_those_who_went_on() -> None:
    async def scenario(quorum: Quorum) -> None:
        first = await quorum.active()
        quorum.nodes[first].machine.process.pause()
        quorum.nodes[first].is_running = False
        second = await quorum.active(besides=first)
        term = quorum.nodes[second].shell.driver.term
        await quorum.client.clock.sleep(5)
        quorum.nodes[first].machine.process.resume()
        quorum.nodes[first].is_running = True
        await quorum.client.clock.sleep(3)
        assert await quorum.active(besides=first) == second
        assert quorum.nodes[second].shell.driver.term == term

    simulate(scenario)


def test_a_follower_that_stood_still_does_not_believe_that_it_waited_all_the_time() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        follower = next(number for number in quorum.nodes if number != active)
        term = quorum.nodes[active].shell.driver.term
        for _ in range(10):
            quorum.nodes[follower].machine.process.pause()
            await quorum.client.clock.sleep(3)
            quorum.nodes[follower].machine.process.resume()
            await quorum.client.clock.sleep(0.2)
        assert {node.shell.driver.term for node in quorum.nodes.values()} == {term}

    simulate(scenario)


def test_a_coordinator_that_stops_hands_leadership_on_first() -> None:
    async def scenario(quorum: Quorum) -> None:
        first = await quorum.active()
        await quorum.client.clock.sleep(2)
        stopping = quorum.nodes[first]
        stopped_at = quorum.simulation.loop.time()
        task = quorum.simulation.loop.create_task(stopping.stop())
        await quorum.active(besides=first)
        assert quorum.simulation.loop.time() - stopped_at < 0.3
        await task

    simulate(scenario)


def test_without_a_majority_reads_are_refused_and_metadata_are_marked_stale() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        others = [number for number in quorum.nodes if number != active]
        for number in others:
            quorum.nodes[number].kill()
        listed = await quorum.list_topics(at=active)
        assert listed.error.code == errors_pb2.NO_QUORUM
        assert (await quorum.ask(active, GET_METADATA, GetMetadataRequest())).stale
        assert (await quorum.create("topic", at=active)).error.code == errors_pb2.NOT_ACTIVE
        await quorum.nodes[others[0]].start()
        await quorum.active()
        assert not (await quorum.list_topics(at=active)).HasField("error")

    simulate(scenario)


def test_every_coordinator_answers_reads_and_those_that_may_not_write_say_who_may() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        address = quorum.nodes[active].coordinator.address
        await quorum.until_all_follow()
        for number in quorum.nodes:
            assert not (await quorum.list_topics(at=number)).HasField("error")
            if number != active:
                refused = await quorum.create("topic", at=number)
                assert refused.error.code == errors_pb2.NOT_ACTIVE
                assert refused.error.active_address == address

    simulate(scenario)


def test_an_active_coordinator_that_is_cut_off_ceases_to_be_active() -> None:
    async def scenario(quorum: Quorum) -> None:
        first = await quorum.active()
        fabric = quorum.simulation.fabric
        for number in quorum.nodes:
            if number != first:
                fabric.cut_both(host(first), host(number))
        second = await quorum.active(besides=first)

        async def is_over() -> bool:
            return not quorum.nodes[first].shell.driver.is_active

        await quorum.until(is_over, timeout_s=2)
        fabric.heal()
        await quorum.until_all_follow()
        assert await quorum.active() == second

    simulate(scenario)


def test_a_cut_that_swallows_everything_is_over_soon_after_it_heals() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        cut_off = next(number for number in quorum.nodes if number != active)
        fabric = quorum.simulation.fabric
        for number in quorum.nodes:
            if number != cut_off:
                fabric.cut_both(host(cut_off), host(number))
        await quorum.client.clock.sleep(12)
        fabric.heal()
        healed = quorum.simulation.loop.time()
        await quorum.until_all_follow()
        assert quorum.simulation.loop.time() - healed < 3

    simulate(scenario)


def test_an_election_timeout_that_a_late_heartbeat_would_pass_is_refused() -> None:
    async def scenario(quorum: Quorum) -> None:
        node = quorum.new_node(4, election_timeout_ms="399", raft_heartbeat_ms="100")
        with pytest.raises(InvalidSettingError, match="at least 4 times raft_heartbeat_ms"):
            await node.start()

    simulate(scenario, count=1)

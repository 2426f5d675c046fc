"""How a cluster begins, and what must not begin one."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_common.methods import INITIALIZE_CLUSTER, PROBE
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.raft_pb2 import (
    CoordinatorAddress,
    InitializeClusterRequest,
    InitializeClusterResponse,
    ProbeRequest,
)
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.coordinator.quorum.trio import Node, Quorum, address, simulate


@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_initial_members_become_one_cluster_and_all_of_them_vote(count: int) -> None:
    async def scenario(quorum: Quorum) -> None:
        view = await quorum.until_voters(*range(1, count + 1))
        assert len(view.cluster_id) == 22
        for number in quorum.nodes:
            assert (await quorum.ask(number, PROBE, ProbeRequest())).cluster_id == view.cluster_id

    simulate(scenario, count=count)


def test_a_new_cluster_has_an_active_coordinator_without_waiting_for_an_election_timeout() -> None:
    async def scenario(quorum: Quorum) -> None:
        started = quorum.simulation.loop.time()
        await quorum.active()
        assert quorum.simulation.loop.time() - started < 0.6

    simulate(scenario)


def test_nothing_is_founded_while_an_initial_member_does_not_answer() -> None:
    async def run(simulation: Simulation) -> None:
        quorum = Quorum(simulation, 3)
        await quorum.nodes[1].start()
        await quorum.nodes[2].start()
        await quorum.client.clock.sleep(20)
        assert not (await quorum.ask(1, PROBE, ProbeRequest())).cluster_id
        await quorum.nodes[3].start()
        await quorum.until_voters(1, 2, 3)

    run_simulation(1, run)


def test_emptied_directories_never_found_a_second_cluster_beside_the_first() -> None:
    async def scenario(quorum: Quorum) -> None:
        cluster_id = (await quorum.until_voters(1, 2, 3)).cluster_id
        for number in (1, 2):
            quorum.nodes[number].kill()
            quorum.nodes[number].empty()
            await quorum.nodes[number].start()
        await quorum.client.clock.sleep(20)
        seen = [(await quorum.ask(number, PROBE, ProbeRequest())).cluster_id for number in (1, 2, 3)]
        assert seen == ["", "", cluster_id]

    simulate(scenario)


async def _initialize(quorum: Quorum, asked: int, *members: int) -> InitializeClusterResponse:
    named = [CoordinatorAddress(coordinator_id=each, address=address(each)) for each in members]
    response: InitializeClusterResponse = await quorum.ask(
        asked, INITIALIZE_CLUSTER, InitializeClusterRequest(members=named)
    )
    return response


def test_an_operator_can_make_the_cluster_at_any_of_its_members_once() -> None:
    async def scenario(quorum: Quorum) -> None:
        made = await _initialize(quorum, 3, 1, 2, 3)
        assert not made.HasField("error")
        await quorum.until_voters(1, 2, 3)
        again = await _initialize(quorum, 2, 1, 2, 3)
        assert again.error.code == errors_pb2.INVALID_QUORUM_CHANGE

    simulate(scenario, initial_members="")


def test_two_members_that_are_asked_at_once_make_one_cluster() -> None:
    async def scenario(quorum: Quorum) -> None:
        made = await asyncio.gather(*(_initialize(quorum, asked, 1, 2, 3) for asked in (2, 3, 1)))
        assert sorted(each.error.code for each in made) == [0, *[errors_pb2.INVALID_QUORUM_CHANGE] * 2]
        view = await quorum.until_voters(1, 2, 3)
        assert {each.cluster_id for each in made} == {"", view.cluster_id}

    for seed in range(5):
        simulate(scenario, seed=seed, initial_members="")


def test_an_operator_is_told_who_stands_in_the_way() -> None:
    async def scenario(quorum: Quorum) -> None:
        assert not (await _initialize(quorum, 1, 1)).HasField("error")
        taken = await _initialize(quorum, 2, 1, 2)
        assert taken.error.code == errors_pb2.INVALID_QUORUM_CHANGE
        assert "coordinator 1" in taken.error.message
        stranger = await _initialize(quorum, 2, 3)
        assert stranger.error.code == errors_pb2.INVALID_QUORUM_CHANGE
        quorum.nodes[3].kill()
        dead = await _initialize(quorum, 2, 2, 3)
        assert dead.error.code == errors_pb2.UNAVAILABLE

    simulate(scenario, initial_members="")


@pytest.mark.parametrize("after_ms", range(0, 60, 6))
def test_a_crash_while_the_cluster_is_founded_does_not_keep_it_from_being_founded(after_ms: int) -> None:
    async def run(simulation: Simulation) -> None:
        quorum = Quorum(simulation, 3)
        for number in (2, 3):
            await quorum.nodes[number].start()
        founder: Node = quorum.nodes[1]
        await founder.start()
        await quorum.client.clock.sleep(after_ms / 1000)
        founder.kill(power_cut=True)
        await founder.start()
        await quorum.until_voters(1, 2, 3)

    run_simulation(after_ms, run)

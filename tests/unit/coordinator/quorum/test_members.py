"""Who keeps the log: emptied directories, new members, removed ones."""

from __future__ import annotations

from streamkeep_proto.v1 import errors_pb2
from tests.unit.coordinator.quorum.trio import Quorum, address, simulate


def test_an_emptied_directory_comes_back_as_a_learner_and_then_votes() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        emptied = next(number for number in quorum.nodes if number != active)
        before = {each.coordinator_id: each.directory_id for each in (await quorum.view()).members}
        quorum.nodes[emptied].kill()
        quorum.nodes[emptied].empty()
        await quorum.nodes[emptied].start()
        await quorum.until_voters(*(number for number in quorum.nodes if number != emptied))
        after = await quorum.until_voters(1, 2, 3)
        directories = {each.coordinator_id: each.directory_id for each in after.members}
        assert directories.pop(emptied) != before.pop(emptied)
        assert directories == before

    simulate(scenario)


def test_a_new_coordinator_joins_and_a_removed_one_says_so() -> None:
    async def scenario(quorum: Quorum) -> None:
        await quorum.active()
        await quorum.new_node(4).start()
        assert not (await quorum.add(4)).HasField("error")
        await quorum.until_voters(1, 2, 3, 4)
        active = await quorum.active()
        removed = next(number for number in quorum.nodes if number != active)
        assert not (await quorum.remove(removed)).HasField("error")

        async def says_so() -> bool:
            return (await quorum.view(removed)).error.code == errors_pb2.REMOVED

        await quorum.until(says_so)

    simulate(scenario)


def test_the_founder_s_emptied_directory_is_replaced_by_whoever_is_active_then() -> None:
    async def scenario(quorum: Quorum) -> None:
        founder = await quorum.active()
        await quorum.transfer(next(number for number in quorum.nodes if number != founder))
        await quorum.active(besides=founder)
        quorum.nodes[founder].kill()
        quorum.nodes[founder].empty()
        await quorum.nodes[founder].start()
        await quorum.until_voters(*(number for number in quorum.nodes if number != founder))
        await quorum.until_voters(1, 2, 3)

    simulate(scenario)


def test_two_emptied_of_five_are_let_in_again_one_after_the_other() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        emptied = [number for number in quorum.nodes if number != active][:2]
        before = {each.coordinator_id: each.directory_id for each in (await quorum.view()).members}
        for number in emptied:
            quorum.nodes[number].kill()
            quorum.nodes[number].empty()
            await quorum.nodes[number].start()

        async def are_exchanged() -> bool:
            members = (await quorum.view()).members
            exchanged = [each for each in members if each.directory_id != before[each.coordinator_id]]
            return [each.coordinator_id for each in exchanged if each.voter] == emptied

        await quorum.until(are_exchanged)

    simulate(scenario, count=5)


def test_the_active_coordinator_can_be_removed_and_another_one_takes_over() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        await quorum.until_all_follow()
        assert not (await quorum.remove(active)).HasField("error")
        assert await quorum.active(besides=active) != active
        await quorum.until_voters(*(number for number in quorum.nodes if number != active))

        async def says_so() -> bool:
            return bool(quorum.nodes[active].shell.driver.removed)

        await quorum.until(says_so)

    simulate(scenario)


def test_a_removed_coordinator_can_be_let_in_again() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        removed = next(number for number in quorum.nodes if number != active)
        await quorum.remove(removed)
        await quorum.client.clock.sleep(5)
        assert not (await quorum.add(removed)).HasField("error")
        await quorum.until_voters(1, 2, 3)
        assert not quorum.nodes[removed].shell.driver.removed

    simulate(scenario)


def test_an_address_that_changes_is_noted_in_the_quorum() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        moved = next(number for number in quorum.nodes if number != active)
        await quorum.nodes[moved].stop()
        quorum.nodes[moved].move(port=9999)
        await quorum.nodes[moved].start()

        async def is_noted() -> bool:
            return f"coordinator-{moved}:9999" in [each.address for each in (await quorum.view()).members]

        await quorum.until(is_noted)
        await quorum.until_all_follow()

    simulate(scenario)


def test_two_that_moved_while_there_was_no_quorum_find_the_third_and_are_found_by_it() -> None:
    async def scenario(quorum: Quorum) -> None:
        await quorum.until_all_follow()
        for moved in (2, 3):
            quorum.nodes[moved].kill()
            quorum.nodes[moved].move(port=9999)
        await quorum.client.clock.sleep(5)
        await quorum.nodes[2].start()
        await quorum.until(lambda: _is_one_active(quorum, 1, 2))
        await quorum.nodes[3].start()
        await quorum.until(lambda: _is_one_active(quorum, 1, 2, 3))

    simulate(scenario)


async def _is_one_active(quorum: Quorum, *coordinator_ids: int) -> bool:
    return any(quorum.nodes[number].shell.driver.is_active for number in coordinator_ids)


def test_a_member_of_another_cluster_is_not_let_in() -> None:
    async def scenario(quorum: Quorum) -> None:
        await quorum.active()
        await quorum.new_node(4, initial_members="4").start()
        refused = await quorum.add(4)
        assert refused.error.code == errors_pb2.INVALID_QUORUM_CHANGE
        assert "cluster" in refused.error.message

    simulate(scenario)


def test_whoever_adds_a_member_is_told_which_address_does_not_answer() -> None:
    async def scenario(quorum: Quorum) -> None:
        await quorum.active()
        refused = (await quorum.add(4)).error
        assert refused.code == errors_pb2.INVALID_QUORUM_CHANGE
        assert address(4) in refused.message

    simulate(scenario)


def test_a_directory_that_is_gone_is_not_called_any_more() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        emptied = next(number for number in quorum.nodes if number != active)
        quorum.nodes[emptied].kill()
        quorum.nodes[emptied].empty()
        await quorum.nodes[emptied].start()
        await quorum.until_voters(*(number for number in quorum.nodes if number != emptied))
        await quorum.until_voters(1, 2, 3)
        for _ in range(100):
            await quorum.client.clock.sleep(0.05)
            assert not [each for each in (await quorum.view()).members if each.trouble]
            assert quorum.nodes[active].shell.driver.node.status().members[emptied - 1].lag <= 1
        assert sorted(quorum.nodes[active].shell._transport._links) == sorted(
            (each.coordinator_id, each.directory_id)
            for each in (await quorum.view()).members
            if each.coordinator_id != active
        )

    simulate(scenario)

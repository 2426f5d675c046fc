"""Who keeps the log: emptied directories, new members, removed ones."""

from __future__ import annotations

from streamkeep_proto.v1 import errors_pb2
from tests.unit.coordinator.quorum.trio import Quorum, simulate


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

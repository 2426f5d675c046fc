"""Directories that are damaged: named, put aside, and let in again as somebody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streamkeep_common.methods import DESCRIBE_QUORUM, PROBE
from streamkeep_coordinator.raft import LostEntriesError
from streamkeep_coordinator.storage.errors import DataDirectoryError
from streamkeep_coordinator.storage.identity import pack_identity
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.raft_pb2 import DescribeQuorumRequest, ProbeRequest
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.coordinator.quorum.trio import Node, Quorum, simulate


def _flip_a_bit_in_the_log(node: Node) -> None:
    directory = node.settings.data_dir
    name = next(name for name in node.disk.list_directory(directory) if name.startswith("log-"))
    node.disk.flip_bit(directory / name, byte=300, bit=0)


def test_a_damaged_log_is_put_aside_and_its_coordinator_votes_again_as_another() -> None:
    async def scenario(quorum: Quorum) -> None:
        active = await quorum.active()
        damaged = next(number for number in quorum.nodes if number != active)
        before = {each.coordinator_id: each.directory_id for each in (await quorum.view()).members}
        node = quorum.nodes[damaged]
        node.kill()
        _flip_a_bit_in_the_log(node)
        await node.start()
        assert "is damaged at byte" in node.shell.local.trouble
        assert "damaged-1" in node.disk.list_directory(node.settings.data_dir)
        await quorum.until_voters(*(number for number in quorum.nodes if number != damaged))
        after = await quorum.until_voters(1, 2, 3)
        assert {each.coordinator_id: each.directory_id for each in after.members} != before

    simulate(scenario)


def test_an_only_coordinator_with_damaged_data_begins_no_new_cluster_by_itself() -> None:
    async def scenario(quorum: Quorum) -> None:
        await quorum.active()
        node = quorum.nodes[1]
        node.kill()
        _flip_a_bit_in_the_log(node)
        for _ in range(2):
            await node.start()
            await quorum.client.clock.sleep(10)
            assert not (await quorum.ask(1, PROBE, ProbeRequest())).cluster_id
            view = await quorum.ask(1, DESCRIBE_QUORUM, DescribeQuorumRequest())
            assert view.error.code == errors_pb2.NOT_INITIALIZED
            node.kill()
        await node.start()

    simulate(scenario, count=1)


@pytest.mark.parametrize("seed", range(3))
def test_what_a_majority_promised_survives_a_power_cut_of_all(seed: int) -> None:
    async def run(simulation: Simulation) -> None:
        quorum = Quorum(simulation, 3)
        await quorum.start()
        cluster_id = (await quorum.until_voters(1, 2, 3)).cluster_id
        terms = []
        for _ in range(4):
            active = await quorum.active()
            terms.append(quorum.nodes[active].shell.driver.term)
            for node in quorum.nodes.values():
                node.kill(power_cut=True)
            await quorum.start()
        assert (await quorum.until_voters(1, 2, 3)).cluster_id == cluster_id
        assert terms == sorted(set(terms))

    run_simulation(seed, run)


@pytest.mark.parametrize("changes", [0, 20])
def test_a_log_beside_the_identity_of_another_cluster_is_not_taken_for_that_clusters(changes: int) -> None:
    async def scenario(quorum: Quorum) -> None:
        active = quorum.nodes[await quorum.active()]
        for _ in range(changes):
            await active.change()
        await quorum.until_all_follow()
        node = quorum.nodes[2]
        identity = replace(node.shell.local.identity, cluster_id="o" * 22)
        node.kill()
        node.disk.write_file(node.settings.data_dir / "identity.json", pack_identity(identity))
        with pytest.raises(DataDirectoryError, match="is of cluster"):
            await node.start()

    simulate(scenario, snapshot_entries="10")


def test_a_directory_brought_back_from_an_old_copy_is_put_aside_and_comes_back_as_another() -> None:
    async def run(simulation: Simulation) -> None:
        quorum = Quorum(simulation, 3)
        await quorum.start()
        active = quorum.nodes[await quorum.active()]
        await quorum.until_all_follow()
        aged = quorum.nodes[1 + active.id % 3]
        directory_id = aged.shell.local.directory_id
        aged.kill()
        old = {name: aged.disk.read_file(path) for name, path in _files(aged).items()}
        await aged.start()
        for _ in range(20):
            await active.change()
        await quorum.until_all_follow()
        aged.kill()
        for name, path in _files(aged).items():
            aged.disk.write_file(path, old.get(name, b""))
        await aged.start()

        await quorum.until(lambda: _has_failed(aged))
        assert isinstance(aged.failures[0], LostEntriesError)
        await aged.stop()
        await aged.start()
        await quorum.until_voters(*(number for number in quorum.nodes if number != aged.id))
        view = await quorum.until_voters(1, 2, 3)

        assert "damaged-1" in aged.disk.list_directory(aged.settings.data_dir)
        assert directory_id not in [each.directory_id for each in view.members]

    run_simulation(1, run)


async def _has_failed(node: Node) -> bool:
    return bool(node.failures)


def _files(node: Node) -> dict[str, Path]:
    directory = node.settings.data_dir
    return {
        name: directory / name
        for name in node.disk.list_directory(directory)
        if name.startswith("log-") or name == "marks"
    }

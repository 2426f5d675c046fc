"""Three coordinators as real processes: killed, stopped, cut off, emptied; brokers and clients go on."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from streamkeep import Admin, Consumer, Producer
from streamkeep_common.errors import NoQuorumError, StreamkeepError
from streamkeep_common.methods import GET_METADATA, LIST_TOPICS
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_proto.v1 import errors_pb2, raft_pb2
from streamkeep_proto.v1.coordinator_pb2 import GetMetadataRequest, ListTopicsRequest, ListTopicsResponse
from tests.acceptance.quorum.status import active_id, all_well, quorum_when
from tests.integration.cluster import Cluster
from tests.integration.links import Links

pytestmark = pytest.mark.process

DEADLINE_S = 40.0


async def listed_by(address: str) -> ListTopicsResponse:
    channel = GrpcNetwork().dial(address)
    try:
        return await channel.call(LIST_TOPICS, ListTopicsRequest(), timeout_s=10)
    finally:
        await channel.close()


async def test_a_killed_active_coordinator_is_replaced_and_no_broker_is_fenced(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, coordinators=3, brokers=2) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        first = await quorum_when(admin, all_well(3))
        await admin.create_topic("before", partitions=2)
        epochs = {each.broker_id: each.broker_epoch for each in (await admin.describe_cluster()).brokers}
        await cluster.coordinators[first.active_id].kill()
        await admin.create_topic("after", partitions=2)
        second = await quorum_when(admin, lambda quorum: quorum.term > first.term and not quorum.stale)
        assert second.active_id != first.active_id
        states = {member.coordinator_id: member.state for member in second.members}
        assert states[first.active_id] == raft_pb2.MEMBER_UNREACHABLE
        described = await admin.describe_cluster()
        assert {each.broker_id: each.broker_epoch for each in described.brokers} == epochs
        assert not any(each.fenced for each in described.brokers)
        await cluster.start(cluster.coordinators[first.active_id])
        await quorum_when(admin, all_well(3))


async def test_without_a_quorum_records_flow_and_metadata_is_marked_stale(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, coordinators=3, brokers=1) as cluster,
        Admin(cluster.bootstrap, request_timeout_ms=3_000) as admin,
    ):
        await quorum_when(admin, all_well(3))
        await admin.create_topic("t", partitions=1)
        async with Producer(cluster.bootstrap) as producer, Consumer(cluster.bootstrap) as consumer:
            await (await producer.send("t", b"with"))
            for number in (1, 2):
                await cluster.coordinators[number].kill()
            await (await producer.send("t", b"without"))
            await consumer.assign({("t", 0): 0})
            records = aiter(consumer)
            assert [(await anext(records)).value for _ in range(2)] == [b"with", b"without"]
        with pytest.raises(StreamkeepError) as refusal:
            await admin.create_topic("nobody-can-agree", partitions=1)
        assert isinstance(refusal.value, NoQuorumError)
        channel = GrpcNetwork().dial(cluster.coordinator_address(3))
        answer = await channel.call(GET_METADATA, GetMetadataRequest(all_topics=True), timeout_s=10)
        await channel.close()
        assert answer.stale
        assert [topic.name for topic in answer.topics] == ["t"]
        await cluster.start(cluster.coordinators[1])
        async with Admin(cluster.bootstrap) as patient:
            await patient.create_topic("they-agree-again", partitions=1)


async def test_a_coordinator_that_was_stopped_serves_nothing_stale_when_it_wakes(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, coordinators=3, brokers=1) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await quorum_when(admin, all_well(3))
        stopped = await active_id(admin)
        cluster.coordinators[stopped].pause()
        await admin.create_topic("new", partitions=1)
        cluster.coordinators[stopped].resume()
        answer = await listed_by(cluster.coordinator_address(stopped))
        assert answer.error.code or [topic.name for topic in answer.topics] == ["new"]
        await quorum_when(admin, all_well(3))


async def test_an_emptied_directory_comes_back_as_a_new_member_with_all_metadata(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, coordinators=3, brokers=1) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        before = await quorum_when(admin, all_well(3))
        await admin.create_topic("kept", partitions=1)
        victim = cluster.coordinators[2]
        await victim.kill()
        shutil.rmtree(victim.flags["data-dir"])
        await cluster.start(victim)
        after = await quorum_when(
            admin,
            lambda quorum: (
                all_well(3)(quorum) and quorum.members[1].directory_id != before.members[1].directory_id
            ),
        )
        assert after.members[1].coordinator_id == 2
        answer = await listed_by(cluster.coordinator_address(2))
        assert [topic.name for topic in answer.topics] == ["kept"]


async def test_a_coordinator_cut_off_from_the_others_neither_writes_nor_reads(tmp_path: Path) -> None:
    links = Links()
    async with (
        asyncio.timeout(DEADLINE_S),
        Cluster(tmp_path, coordinators=3, brokers=1, links=links) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await quorum_when(admin, all_well(3))
        alone = await active_id(admin)
        for other in cluster.coordinators:
            if other != alone:
                links.cut(f"coordinator-{alone}", f"coordinator-{other}")
        await admin.create_topic("by-the-majority", partitions=1, wait=False)
        answer = await listed_by(cluster.coordinator_address(alone))
        assert answer.error.code == errors_pb2.NO_QUORUM
        links.heal()
        await quorum_when(admin, all_well(3))
        answer = await listed_by(cluster.coordinator_address(alone))
        assert [topic.name for topic in answer.topics] == ["by-the-majority"]

"""What each coordinator answers, active or not, with a quorum or without."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.message import Message

from streamkeep_common.image import MAX_FEATURE_LEVEL
from streamkeep_common.methods import (
    ADD_PARTITIONS,
    ALLOCATE_PRODUCER_IDS,
    ALTER_PARTITIONS,
    ALTER_TOPIC_SETTINGS,
    CREATE_TOPICS,
    DELETE_TOPICS,
    DESCRIBE_CLUSTER,
    DESCRIBE_TOPICS,
    DRAIN_BROKER,
    ELECT_LEADERS,
    GET_METADATA,
    LIST_TOPICS,
    REASSIGN_PARTITIONS,
    REMOVE_BROKER,
    REPORT_REPLICAS,
    UPGRADE_FEATURES,
)
from streamkeep_common.seams import RpcError, Status, UnaryMethod
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    AddPartitionsRequest,
    AllocateProducerIdsRequest,
    AlterPartitionsRequest,
    AlterTopicSettingsRequest,
    CancelPlan,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DescribeClusterRequest,
    DescribeTopicsRequest,
    DrainBrokerRequest,
    ElectLeadersRequest,
    GetMetadataRequest,
    ListTopicsRequest,
    NewTopic,
    PartitionCount,
    ReassignPartitionsRequest,
    RemoveBrokerRequest,
    ReportReplicasRequest,
    UpgradeFeaturesRequest,
)
from tests.unit.coordinator.members import CLUSTER_ID, Coordinator, Members, simulate_members

CHANGES: list[tuple[UnaryMethod[Any, Any], Message]] = [
    (CREATE_TOPICS, CreateTopicsRequest(topics=[NewTopic(name="t")])),
    (DELETE_TOPICS, DeleteTopicsRequest(names=["t"])),
    (ADD_PARTITIONS, AddPartitionsRequest(topics=[PartitionCount(name="t", partitions=9)])),
    (ALTER_TOPIC_SETTINGS, AlterTopicSettingsRequest()),
    (UPGRADE_FEATURES, UpgradeFeaturesRequest()),
    (REASSIGN_PARTITIONS, ReassignPartitionsRequest(cancel=CancelPlan())),
    (ELECT_LEADERS, ElectLeadersRequest()),
    (DRAIN_BROKER, DrainBrokerRequest(broker_id=1)),
    (REMOVE_BROKER, RemoveBrokerRequest(broker_id=1)),
    (ALLOCATE_PRODUCER_IDS, AllocateProducerIdsRequest(broker_id=1, broker_epoch=1)),
    (ALTER_PARTITIONS, AlterPartitionsRequest(broker_id=1, broker_epoch=1)),
    (REPORT_REPLICAS, ReportReplicasRequest(broker_id=1, broker_epoch=1)),
]
READS: list[tuple[UnaryMethod[Any, Any], Message]] = [
    (LIST_TOPICS, ListTopicsRequest()),
    (DESCRIBE_TOPICS, DescribeTopicsRequest()),
]
STALE_READS: list[tuple[UnaryMethod[Any, Any], Message]] = [
    (GET_METADATA, GetMetadataRequest(all_topics=True)),
    (DESCRIBE_CLUSTER, DescribeClusterRequest()),
]


async def ask(members: Members, at: int, method: UnaryMethod[Any, Any], request: Message) -> Any:
    return await members[at].client.call(method, request, timeout_s=5)


async def create(members: Members, name: str, *, at: int = 1, topic_id: bytes = b"") -> Any:
    topic = NewTopic(name=name, partitions=1, topic_id=topic_id)
    return await ask(members, at, CREATE_TOPICS, CreateTopicsRequest(topics=[topic]))


def now() -> float:
    return asyncio.get_running_loop().time()


def test_every_change_is_redirected_to_the_active_coordinator() -> None:
    async def scenario(members: Members) -> None:
        for method, request in CHANGES:
            error = (await ask(members, 2, method, request)).error
            assert (error.code, error.active_address) == (errors_pb2.NOT_ACTIVE, "coordinator-1:7101")
        members.quorum.lose()
        for method, request in CHANGES:
            error = (await ask(members, 2, method, request)).error
            assert (error.code, error.active_address) == (errors_pb2.NOT_ACTIVE, "")

    simulate_members(scenario)


def test_a_change_whose_leader_is_lost_is_answered_as_one_that_may_still_happen() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        members.quorum.holds = True
        creating = asyncio.create_task(create(members, "t"))
        await asyncio.sleep(0.1)
        members.quorum.elect(3)
        assert (await creating).error.code == errors_pb2.UNAVAILABLE

    simulate_members(scenario)


def test_what_was_answered_is_read_from_any_coordinator_at_once() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        for number in range(5):
            assert not (await create(members, f"t{number}")).HasField("error")
            for at in (1, 2, 3):
                listed = await ask(members, at, LIST_TOPICS, ListTopicsRequest())
                assert len(listed.topics) == number + 1
                described = await ask(members, at, DESCRIBE_TOPICS, DescribeTopicsRequest())
                assert len(described.topics) == number + 1
                metadata = await ask(members, at, GET_METADATA, GetMetadataRequest(all_topics=True))
                assert (len(metadata.topics), metadata.stale) == (number + 1, False)

    simulate_members(scenario)


def test_without_a_quorum_lists_are_refused_after_two_seconds() -> None:
    async def scenario(members: Members) -> None:
        members.quorum.lose()
        for method, request in READS:
            started = now()
            error = (await ask(members, 2, method, request)).error
            assert error.code == errors_pb2.NO_QUORUM
            assert 1.9 < now() - started < 2.5

    simulate_members(scenario)


def test_a_coordinator_that_is_cut_off_answers_nothing_old_as_if_it_were_new() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        members.quorum.cut(3)
        await create(members, "t")
        assert (await ask(members, 3, LIST_TOPICS, ListTopicsRequest())).error.code == errors_pb2.NO_QUORUM
        for method, request in STALE_READS:
            started = now()
            answer = await ask(members, 3, method, request)
            assert answer.stale
            assert answer.cluster_id == CLUSTER_ID
            assert 0.4 < now() - started < 0.7
        members.quorum.heal(3)
        for method, request in STALE_READS:
            assert not (await ask(members, 3, method, request)).stale

    simulate_members(scenario)


def test_metadata_are_served_stale_at_once_while_nobody_is_known_to_be_active() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        await create(members, "t")
        members.quorum.lose()
        for method, request in STALE_READS:
            started = now()
            assert (await ask(members, 1, method, request)).stale
            assert now() - started < 0.1
        metadata = await ask(members, 1, GET_METADATA, GetMetadataRequest(names=["t"]))
        assert metadata.topics[0].partitions[0].leader == 1

    simulate_members(scenario)


def test_all_coordinators_are_listed_and_the_active_one_is_marked() -> None:
    async def scenario(members: Members) -> None:
        for active in (1, 3):
            members.quorum.elect(active)
            for at in (1, 2, 3):
                for method, request in STALE_READS:
                    listed = (await ask(members, at, method, request)).coordinators
                    assert [each.coordinator_id for each in listed] == [1, 2, 3]
                    assert [each.coordinator_id for each in listed if each.active] == [active]
                    assert listed[1].address == "coordinator-2:7101"

    simulate_members(scenario)


def test_a_coordinator_outside_of_any_cluster_has_nothing_to_tell() -> None:
    async def scenario(members: Members) -> None:
        for removed, code in (("", errors_pb2.NOT_INITIALIZED), ("it was removed", errors_pb2.REMOVED)):
            members[3].consensus.is_initialized = bool(removed)
            members[3].consensus.removed = removed
            for method, request in [*CHANGES, *READS]:
                assert (await ask(members, 3, method, request)).error.code == code
            for method, request in STALE_READS:
                with pytest.raises(RpcError, match=r"streamctl (cluster init|quorum add)") as raised:
                    await ask(members, 3, method, request)
                assert raised.value.status is Status.UNAVAILABLE

    simulate_members(scenario)


def test_a_create_that_is_made_again_with_its_own_id_succeeds_at_the_next_coordinator() -> None:
    async def scenario(members: Members) -> None:
        await members.live_brokers(1)
        first = await create(members, "t", topic_id=b"i" * 16)
        members.quorum.elect(2)
        again = await create(members, "t", at=2, topic_id=b"i" * 16)
        assert [each.outcomes[0].topic_id for each in (first, again)] == [b"i" * 16] * 2
        other = await create(members, "t", at=2, topic_id=b"o" * 16)
        assert other.outcomes[0].error.code == errors_pb2.TOPIC_EXISTS
        assert (await create(members, "u", at=2, topic_id=b"short")).outcomes[0].HasField("error")

    simulate_members(scenario)


def test_the_cluster_describes_its_term_epoch_and_feature_levels() -> None:
    async def scenario(members: Members) -> None:
        members.quorum.elect(2)
        members[2].consensus.cluster_epoch = 4
        answer = await ask(members, 2, DESCRIBE_CLUSTER, DescribeClusterRequest())
        assert (answer.term, answer.cluster_epoch, answer.metadata_index) == (2, 4, 2)
        assert answer.feature_level == answer.supported_feature_level == MAX_FEATURE_LEVEL

    simulate_members(scenario)


def test_an_upgrade_says_from_where_to_where_and_who_cannot_follow() -> None:
    async def scenario(members: Members) -> None:
        answer = await ask(members, 1, UPGRADE_FEATURES, UpgradeFeaturesRequest())
        assert (answer.previous_level, answer.level) == (MAX_FEATURE_LEVEL, MAX_FEATURE_LEVEL)
        assert not answer.HasField("error")
        answer = await ask(members, 1, UPGRADE_FEATURES, UpgradeFeaturesRequest(level=99))
        assert answer.error.code == errors_pb2.UNSUPPORTED_FEATURE
        assert f"coordinator-1:7101 supports feature levels 1 to {MAX_FEATURE_LEVEL}" in answer.error.message

    simulate_members(scenario)


def test_a_coordinator_that_has_only_just_joined_does_not_tell_of_an_empty_cluster() -> None:
    async def scenario(members: Members) -> None:
        newcomer = Coordinator(members.simulation, members.quorum, 4)
        newcomer.consensus.is_cut = True
        await newcomer.serve()
        for method, request in STALE_READS:
            with pytest.raises(RpcError, match="knows nothing yet") as raised:
                await newcomer.client.call(method, request, timeout_s=5)
            assert raised.value.status is Status.UNAVAILABLE

    simulate_members(scenario)

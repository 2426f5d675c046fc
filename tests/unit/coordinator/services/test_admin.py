"""Administration against a whole coordinator, in simulated time."""

from __future__ import annotations

import pytest

from streamkeep_common.image import MAX_FEATURE_LEVEL
from streamkeep_common.methods import (
    ADD_PARTITIONS,
    ALTER_TOPIC_SETTINGS,
    CREATE_TOPICS,
    DELETE_TOPICS,
    DESCRIBE_CLUSTER,
    DESCRIBE_TOPICS,
    LIST_TOPICS,
)
from streamkeep_common.seams import RpcError, Status
from streamkeep_common.settings import TOPIC_SETTINGS
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    AddPartitionsRequest,
    AlterTopicSettings,
    AlterTopicSettingsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DescribeClusterRequest,
    DescribeTopicsRequest,
    ListTopicsRequest,
    NewTopic,
    PartitionCount,
)
from tests.unit.coordinator.world import World, simulate


def test_a_topic_lives_from_create_to_delete() -> None:
    async def scenario(world: World) -> None:
        call = world.client.call
        await world.live_brokers(3)
        created = (await world.create("t", partitions=0, replicas=0)).outcomes[0]
        assert (created.partitions, created.replication_factor, created.min_insync_replicas) == (6, 3, 2)

        grow = AddPartitionsRequest(topics=[PartitionCount(name="t", partitions=8)])
        grown = (await call(ADD_PARTITIONS, grow, timeout_s=5)).outcomes[0]
        assert grown.metadata_index > created.metadata_index

        change = AlterTopicSettings(name="t", set={"retention_ms": "1h"})
        alter = AlterTopicSettingsRequest(topics=[change])
        assert not (await call(ALTER_TOPIC_SETTINGS, alter, timeout_s=5)).outcomes[0].HasField("error")

        described = (await call(DESCRIBE_TOPICS, DescribeTopicsRequest(), timeout_s=5)).topics
        assert len(described[0].partitions) == 8
        settings = {each.name: each for each in described[0].settings}
        assert list(settings) == [setting.name for setting in TOPIC_SETTINGS]
        assert (settings["retention_ms"].value, settings["retention_ms"].is_default) == ("3600000", False)
        assert settings["segment_ms"].is_default

        listed = (await call(LIST_TOPICS, ListTopicsRequest(), timeout_s=5)).topics
        assert [(each.name, each.partitions, each.replication_factor) for each in listed] == [("t", 8, 3)]

        delete = DeleteTopicsRequest(topic_ids=[created.topic_id])
        assert (await call(DELETE_TOPICS, delete, timeout_s=5)).outcomes[0].name == "t"
        gone = (await call(DESCRIBE_TOPICS, DescribeTopicsRequest(names=["t"]), timeout_s=5)).topics[0]
        assert gone.error.code == errors_pb2.UNKNOWN_TOPIC

    simulate(scenario)


def test_what_is_only_validated_is_not_done() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(1)
        outcome = (await world.create("t", partitions=3, validate_only=True)).outcomes[0]
        assert (outcome.partitions, outcome.topic_id, outcome.metadata_index) == (3, b"", 0)
        assert await world.topic_names() == []
        await world.create("t")
        delete = DeleteTopicsRequest(names=["t"], validate_only=True)
        await world.client.call(DELETE_TOPICS, delete, timeout_s=5)
        assert await world.topic_names() == ["t"]

    simulate(scenario)


def test_a_topic_of_a_thousand_partitions_is_one_command() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(3)
        before = (await world.create("small")).outcomes[0].metadata_index
        outcome = (await world.create("large", partitions=1000)).outcomes[0]
        assert (outcome.partitions, outcome.metadata_index) == (1000, before + 1)

    simulate(scenario)


def test_one_request_can_add_only_so_many_partitions() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(1)
        outcomes = (await world.create("a", "b", "c", partitions=10_000)).outcomes
        assert [each.error.code for each in outcomes] == [0, 0, errors_pb2.INVALID_PARTITION_COUNT]
        assert "send the rest in another one" in outcomes[2].error.message

    simulate(scenario)


def test_the_cluster_describes_itself() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(2)
        await world.create("t", partitions=4)
        answer = await world.client.call(DESCRIBE_CLUSTER, DescribeClusterRequest(), timeout_s=5)
        assert (answer.term, answer.feature_level, answer.cluster_epoch) == (2, MAX_FEATURE_LEVEL, 1)
        assert [(each.coordinator_id, each.active) for each in answer.coordinators] == [(1, True)]
        assert (answer.topics, answer.partitions, answer.offline_partitions) == (1, 4, 0)
        assert len(answer.cluster_id) == 22
        assert [each.broker_id for each in answer.brokers] == [1, 2]
        assert world.metrics.render().count(b"streamkeep_partitions 4.0") == 1

    simulate(scenario)


@pytest.mark.parametrize("names", [["t"] * 1001, ["t" * 100_000]])
def test_a_request_with_too_many_or_too_long_names_is_refused(names: list[str]) -> None:
    async def scenario(world: World) -> None:
        request = CreateTopicsRequest(topics=[NewTopic(name=name) for name in names])
        with pytest.raises(RpcError) as raised:
            await world.client.call(CREATE_TOPICS, request, timeout_s=5)
        assert raised.value.status is Status.INVALID_ARGUMENT

    simulate(scenario)

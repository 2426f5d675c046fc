"""Settings and features in full, from a whole coordinator in simulated time."""

from __future__ import annotations

from streamkeep_common.image import MAX_FEATURE_LEVEL, MIN_FEATURE_LEVEL
from streamkeep_common.methods import (
    ALTER_TOPIC_SETTINGS,
    DESCRIBE_FEATURES,
    DESCRIBE_PROCESS_SETTINGS,
    DESCRIBE_TOPIC_SETTINGS,
)
from streamkeep_common.settings import COORDINATOR_SETTINGS, TOPIC_SETTINGS
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    AlterTopicSettings,
    AlterTopicSettingsRequest,
    DescribeFeaturesRequest,
    DescribeTopicSettingsRequest,
)
from streamkeep_proto.v1.settings_pb2 import FROM_DEFAULT, FROM_TOPIC, DescribeProcessSettingsRequest
from tests.unit.coordinator.world import ADDRESS, World, simulate


def test_settings_say_where_their_value_comes_from_and_what_else_it_would_be() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(1)
        await world.create("t")
        change = AlterTopicSettings(name="t", set={"retention_ms": "1h"})
        await world.client.call(ALTER_TOPIC_SETTINGS, AlterTopicSettingsRequest(topics=[change]), timeout_s=5)
        request = DescribeTopicSettingsRequest(names=["t", "missing"])
        topic, missing = (await world.client.call(DESCRIBE_TOPIC_SETTINGS, request, timeout_s=5)).topics
        assert [each.name for each in topic.settings] == [each.name for each in TOPIC_SETTINGS]
        told = {each.name: each for each in topic.settings}
        retention, roll = told["retention_ms"], told["segment_ms"]
        assert (retention.value, retention.source) == ("3600000", FROM_TOPIC)
        assert retention.default_value == TOPIC_SETTINGS["retention_ms"].default
        assert (roll.value, roll.source) == (roll.default_value, FROM_DEFAULT)
        assert all(each.type and each.documentation and not each.read_only for each in topic.settings)
        assert (missing.name, missing.error.code) == ("missing", errors_pb2.UNKNOWN_TOPIC)

    simulate(scenario)


def test_without_a_topic_the_settings_are_those_of_one_created_now() -> None:
    async def scenario(world: World) -> None:
        request = DescribeTopicSettingsRequest()
        (new,) = (await world.client.call(DESCRIBE_TOPIC_SETTINGS, request, timeout_s=5)).topics
        told = {each.name: each for each in new.settings}
        assert (told["min_insync_replicas"].value, told["min_insync_replicas"].source) == ("1", FROM_TOPIC)
        assert told["durability"].source == FROM_DEFAULT

    simulate(scenario, default_min_insync_replicas="1")


def test_features_tell_the_level_and_who_supports_what() -> None:
    async def scenario(world: World) -> None:
        await world.live_brokers(2)
        told = await world.client.call(DESCRIBE_FEATURES, DescribeFeaturesRequest(), timeout_s=5)
        assert (told.level, told.supported_level) == (MAX_FEATURE_LEVEL, MAX_FEATURE_LEVEL)
        assert [(each.role, each.id) for each in told.processes] == [
            ("coordinator", 1),
            ("broker", 1),
            ("broker", 2),
        ]
        assert told.processes[0].address == ADDRESS
        assert {(each.min_level, each.max_level) for each in told.processes[:1]} == {
            (MIN_FEATURE_LEVEL, MAX_FEATURE_LEVEL)
        }
        assert [each.level for each in told.levels] == list(range(MIN_FEATURE_LEVEL, MAX_FEATURE_LEVEL + 1))
        assert all(each.documentation for each in told.levels)

    simulate(scenario)


def test_a_coordinator_tells_what_it_runs_with() -> None:
    async def scenario(world: World) -> None:
        request = DescribeProcessSettingsRequest()
        told = await world.client.call(DESCRIBE_PROCESS_SETTINGS, request, timeout_s=5)
        assert (told.role, told.id) == ("coordinator", 1)
        values = {each.name: each.value for each in told.settings}
        assert list(values) == [each.name for each in COORDINATOR_SETTINGS]
        assert values["listen"] == ADDRESS

    simulate(scenario)

"""Settings of topics and processes, and lists of topics, through an admin."""

from __future__ import annotations

import re

import pytest

from streamkeep.admin.settings import TOPICS_AT_A_TIME, source_name
from streamkeep.errors import UnavailableError, UnknownBrokerError, UnknownTopicError
from streamkeep_proto.v1.settings_pb2 import FROM_FLAG, DescribedSetting
from tests.unit.sdk.admin_world import AdminWorld, in_admin_world


def test_settings_of_topics_come_by_name_with_an_outcome_for_each() -> None:
    async def story(world: AdminWorld) -> None:
        told = await world.admin.describe_settings_of_topics(["t", "u"])
        assert told.succeeded["t"]["a"].value == "t"
        assert isinstance(told["u"], UnknownTopicError)
        assert (await world.admin.describe_topic_settings("t"))["a"].value == "t"
        assert (await world.admin.describe_topic_settings())["a"].value == ""
        with pytest.raises(UnknownTopicError):
            await world.admin.describe_topic_settings("u")

    in_admin_world(story)


def test_settings_of_many_topics_are_asked_for_in_portions() -> None:
    async def story(world: AdminWorld) -> None:
        names = [f"t{number}" for number in range(TOPICS_AT_A_TIME + 1)]
        assert list(await world.admin.describe_settings_of_topics(names)) == names
        assert world.setting_questions == [TOPICS_AT_A_TIME, 1]
        assert await world.admin.describe_settings_of_topics([]) == {}

    in_admin_world(story)


def test_every_broker_tells_its_own_settings_and_those_that_cannot_have_their_error() -> None:
    async def story(world: AdminWorld) -> None:
        world.machines["broker-2"].kill()
        told = await world.admin.describe_settings_of_brokers()
        assert told.succeeded[1]["id"].value == "1"
        assert isinstance(told[2], UnavailableError)
        with pytest.raises(UnknownBrokerError, match="there is no broker 9"):
            await world.admin.describe_broker_settings(9)

    in_admin_world(story)


def test_another_process_at_the_address_is_not_taken_for_the_one_that_was_meant() -> None:
    async def story(world: AdminWorld) -> None:
        with pytest.raises(UnavailableError, match="broker 1 answers, not coordinator 1"):
            await world.admin.describe_coordinator_settings(1)
        with pytest.raises(UnavailableError, match="there is no coordinator 2"):
            await world.admin.describe_coordinator_settings(2)

    in_admin_world(story)


def test_sources_have_names() -> None:
    assert source_name(DescribedSetting(source=FROM_FLAG)) == "flag"
    assert source_name(DescribedSetting()) == "unknown"


def test_topics_are_listed_by_the_whole_name_and_without_internal_ones() -> None:
    async def story(world: AdminWorld) -> None:
        world.topics |= {"flights": [], "flights-2013": [], "__consumer_offsets": []}

        async def names(**options: object) -> list[str]:
            return [each.name for each in await world.admin.list_topics(**options)]  # type: ignore[arg-type]

        assert await names() == ["__consumer_offsets", "flights", "flights-2013", "t"]
        assert await names(internal=False) == ["flights", "flights-2013", "t"]
        assert await names(pattern="flights") == ["flights"]
        assert await names(pattern=re.compile("FLIGHTS.*", re.IGNORECASE)) == ["flights", "flights-2013"]

    in_admin_world(story)

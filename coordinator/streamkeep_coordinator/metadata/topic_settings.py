"""What the metadata machine itself needs of a topic's settings; the table is in streamkeep_common."""

from __future__ import annotations

from collections.abc import Mapping

from streamkeep_common.image import TopicImage
from streamkeep_common.settings import TOPIC_SETTINGS, Origin, described
from streamkeep_proto.v1.coordinator_pb2 import TopicSetting
from streamkeep_proto.v1.settings_pb2 import FROM_DEFAULT, FROM_TOPIC, DescribedSetting

MIN_INSYNC_REPLICAS = "min_insync_replicas"
UNCLEAN_LEADER_ELECTION = "unclean_leader_election"
DURABILITY = "durability"
_DEFAULTS = TOPIC_SETTINGS.defaults()


def min_insync_replicas(topic: TopicImage) -> int:
    """As set. `PartitionImage.required_isr` bounds it by the replicas that there are."""
    return int(_value(topic, MIN_INSYNC_REPLICAS))


def is_unclean_allowed(topic: TopicImage) -> bool:
    """Any replica may lead rather than none, at the price of acknowledged records."""
    return _value(topic, UNCLEAN_LEADER_ELECTION) == "on"


def is_flushed(topic: TopicImage) -> bool:
    """What a replica acknowledges is on its disk, so that it survives a crash of the machine."""
    return _value(topic, DURABILITY) == "fsync"


def _value(topic: TopicImage, name: str) -> str:
    return topic.settings.get(name, _DEFAULTS[name])


def all_settings(topic: TopicImage) -> list[TopicSetting]:
    """Every setting, defaults included, in the table's order."""
    return [
        TopicSetting(
            name=setting.name,
            value=topic.settings.get(setting.name, _DEFAULTS[setting.name]),
            is_default=setting.name not in topic.settings,
        )
        for setting in TOPIC_SETTINGS
    ]


def described_settings(settings: Mapping[str, str]) -> list[DescribedSetting]:
    """Every setting, of a topic that has these set, with where its value comes from and what it is for."""
    return [
        described(
            setting,
            settings.get(setting.name, _DEFAULTS[setting.name]),
            Origin(FROM_TOPIC if setting.name in settings else FROM_DEFAULT),
            read_only=False,
        )
        for setting in TOPIC_SETTINGS
    ]

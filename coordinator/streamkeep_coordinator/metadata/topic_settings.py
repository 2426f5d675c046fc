"""What the metadata machine itself needs of a topic's settings; the table is in streamkeep_common."""

from __future__ import annotations

from streamkeep_common.image import TopicImage
from streamkeep_common.settings import TOPIC_SETTINGS
from streamkeep_proto.v1.coordinator_pb2 import TopicSetting

MIN_INSYNC_REPLICAS = "min_insync_replicas"
_DEFAULTS = TOPIC_SETTINGS.defaults()


def min_insync_replicas(topic: TopicImage) -> int:
    """As set; a topic with fewer replicas needs them all."""
    return int(topic.settings.get(MIN_INSYNC_REPLICAS, _DEFAULTS[MIN_INSYNC_REPLICAS]))


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

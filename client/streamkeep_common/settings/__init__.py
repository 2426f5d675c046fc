"""Settings: one table for each scope, from which validation, views, documentation and `--help` come."""

from streamkeep_common.settings.broker import BROKER_SETTINGS, BrokerSettings
from streamkeep_common.settings.coordinator import COORDINATOR_SETTINGS, CoordinatorSettings
from streamkeep_common.settings.describe import Origin, described
from streamkeep_common.settings.load import Loaded, load
from streamkeep_common.settings.table import Setting, SettingsTable
from streamkeep_common.settings.topic import TOPIC_SETTINGS, TopicSettings

__all__ = [
    "BROKER_SETTINGS",
    "COORDINATOR_SETTINGS",
    "TOPIC_SETTINGS",
    "BrokerSettings",
    "CoordinatorSettings",
    "Loaded",
    "Origin",
    "Setting",
    "SettingsTable",
    "TopicSettings",
    "described",
    "load",
]

"""Settings, with their sources and defaults."""

from __future__ import annotations

from collections.abc import Iterable

from streamkeep.admin.outcomes import Outcomes
from streamkeep.admin.settings import Settings
from streamkeep.blocking.admin.base import AdminBase


class SettingsAdmin(AdminBase):
    """See `Admin`."""

    def describe_topic_settings(self, name: str = "") -> Settings:
        """The settings of a topic; without a name those that a topic created now would have."""
        return self._call(self._on_loop.describe_topic_settings(name))

    def describe_settings_of_topics(self, names: Iterable[str]) -> Outcomes[str, Settings]:
        """As `describe_topic_settings`, for several topics."""
        return self._call(self._on_loop.describe_settings_of_topics(names))

    def describe_broker_settings(self, broker_id: int) -> Settings:
        """What a broker runs with. It changes when the broker starts anew."""
        return self._call(self._on_loop.describe_broker_settings(broker_id))

    def describe_settings_of_brokers(self, broker_ids: Iterable[int] = ()) -> Outcomes[int, Settings]:
        """As `describe_broker_settings`, for several brokers, or for all if none is named."""
        return self._call(self._on_loop.describe_settings_of_brokers(broker_ids))

    def describe_coordinator_settings(self, coordinator_id: int) -> Settings:
        """What a coordinator runs with. It changes when the coordinator starts anew."""
        return self._call(self._on_loop.describe_coordinator_settings(coordinator_id))

    def describe_settings_of_coordinators(
        self, coordinator_ids: Iterable[int] = ()
    ) -> Outcomes[int, Settings]:
        """As `describe_coordinator_settings`, for several, or for the whole quorum if none is named."""
        return self._call(self._on_loop.describe_settings_of_coordinators(coordinator_ids))

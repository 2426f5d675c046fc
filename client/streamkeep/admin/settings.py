"""Settings in full, of topics and processes: value, source, default, type and purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

from streamkeep.admin.description import DescribingAdmin
from streamkeep.admin.outcomes import Outcomes
from streamkeep.coordinators import Whom
from streamkeep_common.errors import (
    InvalidSettingError,
    StreamkeepError,
    UnavailableError,
    UnknownBrokerError,
    from_proto,
    raise_if_error,
)
from streamkeep_common.methods import DESCRIBE_PROCESS_SETTINGS, DESCRIBE_TOPIC_SETTINGS
from streamkeep_proto.v1.coordinator_pb2 import DescribeTopicSettingsRequest
from streamkeep_proto.v1.settings_pb2 import (
    FROM_DEFAULT,
    FROM_ENVIRONMENT,
    FROM_FILE,
    FROM_FLAG,
    FROM_TOPIC,
    DescribedSetting,
    DescribeProcessSettingsRequest,
)

Settings = dict[str, DescribedSetting]
"""By name, in the order in which they are documented."""

SettingsArgument = Mapping[str, str | int]
"""Settings as a caller gives them: text, as docs/settings.md has it, or a whole number; True and False stand
for `on` and `off`."""

TOPICS_AT_A_TIME = 500
"""Each answer is some kilobytes, and all of one request must fit into a message."""

_SOURCES = {
    FROM_DEFAULT: "default",
    FROM_TOPIC: "topic",
    FROM_FILE: "file",
    FROM_ENVIRONMENT: "environment",
    FROM_FLAG: "flag",
}


def source_name(setting: DescribedSetting) -> str:
    """Who gave a setting its value: "default", "topic", "file", "environment", "flag", or "unknown"."""
    return _SOURCES.get(setting.source, "unknown")


def setting_texts(given: SettingsArgument | None) -> dict[str, str]:
    """The settings as they are sent. InvalidSettingError for what is neither text nor number."""
    return {name: _text(name, value) for name, value in (given or {}).items()}


def _text(name: str, value: str | int) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str | int):
        return str(value)
    raise InvalidSettingError(f"setting {name} is given as text or a number, not {value!r}")


class SettingsAdmin(DescribingAdmin):
    """See `Admin`."""

    # --- settings ---

    async def describe_topic_settings(self, name: str = "") -> Settings:
        """The settings of a topic; without a name those that a topic created now would have.

        Raises UnknownTopicError.
        """
        request = DescribeTopicSettingsRequest(names=[name] if name else [])
        (topic,) = (await self._ask(Whom.ANY, DESCRIBE_TOPIC_SETTINGS, request)).topics
        raise_if_error(topic.error)
        return _by_name(topic.settings)

    async def describe_settings_of_topics(self, names: Iterable[str]) -> Outcomes[str, Settings]:
        """As `describe_topic_settings`, for several topics."""
        wanted = list(dict.fromkeys(names))
        outcomes: dict[str, Settings | StreamkeepError] = {}
        for start in range(0, len(wanted), TOPICS_AT_A_TIME):
            request = DescribeTopicSettingsRequest(names=wanted[start : start + TOPICS_AT_A_TIME])
            for topic in (await self._ask(Whom.ANY, DESCRIBE_TOPIC_SETTINGS, request)).topics:
                failure = from_proto(topic.error) if topic.HasField("error") else None
                outcomes[topic.name] = failure or _by_name(topic.settings)
        return Outcomes(outcomes)

    async def describe_broker_settings(self, broker_id: int) -> Settings:
        """What a broker runs with. It changes when the broker starts anew.

        Raises UnknownBrokerError; UnavailableError if it does not answer.
        """
        return (await self.describe_settings_of_brokers([broker_id])).values_or_raise()[broker_id]

    async def describe_settings_of_brokers(self, broker_ids: Iterable[int] = ()) -> Outcomes[int, Settings]:
        """As `describe_broker_settings`, for several brokers, or for all if none is named."""
        return await self._of_processes("broker", broker_ids, await self.broker_addresses())

    async def describe_coordinator_settings(self, coordinator_id: int) -> Settings:
        """What a coordinator runs with. It changes when the coordinator starts anew.

        Raises UnavailableError if there is no such coordinator, or it does not answer.
        """
        told = await self.describe_settings_of_coordinators([coordinator_id])
        return told.values_or_raise()[coordinator_id]

    async def describe_settings_of_coordinators(
        self, coordinator_ids: Iterable[int] = ()
    ) -> Outcomes[int, Settings]:
        """As `describe_coordinator_settings`, for several, or for the whole quorum if none is named."""
        members = (await self.describe_cluster()).coordinators
        addresses = {each.coordinator_id: each.address for each in members}
        return await self._of_processes("coordinator", coordinator_ids, addresses)

    async def _of_processes(
        self, role: Literal["broker", "coordinator"], ids: Iterable[int], addresses: Mapping[int, str]
    ) -> Outcomes[int, Settings]:
        wanted = sorted(set(ids)) or list(addresses)
        told = await asyncio.gather(*map(partial(self._of_process, role, addresses), wanted))
        return Outcomes(dict(zip(wanted, told, strict=True)))

    async def _of_process(
        self, role: Literal["broker", "coordinator"], addresses: Mapping[int, str], number: int
    ) -> Settings | StreamkeepError:
        if number not in addresses:
            kind = UnknownBrokerError if role == "broker" else UnavailableError
            return kind(f"there is no {role} {number}")
        address = addresses[number]
        request = DescribeProcessSettingsRequest()
        try:
            answer = await self._client.call_broker(address, DESCRIBE_PROCESS_SETTINGS, request)
        except StreamkeepError as error:
            return error
        if (answer.role, answer.id) != (role, number):
            return UnavailableError(f"at {address} {answer.role} {answer.id} answers, not {role} {number}")
        return _by_name(answer.settings)


def _by_name(settings: Sequence[DescribedSetting]) -> Settings:
    return {setting.name: setting for setting in settings}

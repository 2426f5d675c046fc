"""SettingsService: what a process runs with, and who said so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from streamkeep_common.methods import DESCRIBE_PROCESS_SETTINGS, SETTINGS_SERVICE
from streamkeep_common.seams import CallInfo, Service
from streamkeep_common.settings import Origin, Setting, SettingsTable, described
from streamkeep_common.settings.describe import DEFAULT
from streamkeep_proto.v1.settings_pb2 import (
    SETTING_SOURCE_UNKNOWN,
    DescribedSetting,
    DescribeProcessSettingsRequest,
    DescribeProcessSettingsResponse,
)

_NOT_SAID = Origin(SETTING_SOURCE_UNKNOWN)


class NumberedSettings(Protocol):
    """The typed view of a process's settings: a property for each setting of the table."""

    @property
    def id(self) -> int: ...


def settings_service(
    table: SettingsTable, settings: NumberedSettings, origins: Mapping[str, Origin]
) -> Service:
    """`settings` is the table's typed view. They are read when a process starts, so the answer stays."""
    answer = DescribeProcessSettingsResponse(
        role=table.scope,
        id=settings.id,
        settings=[_described(setting, getattr(settings, setting.name), origins) for setting in table],
    )

    async def describe(
        _request: DescribeProcessSettingsRequest, _info: CallInfo
    ) -> DescribeProcessSettingsResponse:
        return answer

    return Service(SETTINGS_SERVICE, {DESCRIBE_PROCESS_SETTINGS: describe}, {})


def _described(setting: Setting, value: object, origins: Mapping[str, Origin]) -> DescribedSetting:
    """Who makes a component in a program of their own says no origins: what differs is told as not said."""
    text = setting.type.format(value)
    origin = origins.get(setting.name, DEFAULT if text == setting.default else _NOT_SAID)
    return described(setting, text, origin, read_only=True)

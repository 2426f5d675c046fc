"""Settings as they are told to those who ask."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_common.errors import InvalidSettingError
from streamkeep_common.methods import DESCRIBE_PROCESS_SETTINGS
from streamkeep_common.seams import CallInfo
from streamkeep_common.server.settings_service import settings_service
from streamkeep_common.settings import BROKER_SETTINGS, BrokerSettings, Origin, SettingsTable, described
from streamkeep_common.settings.types import Secret
from streamkeep_proto.v1.settings_pb2 import (
    FROM_DEFAULT,
    FROM_FLAG,
    SETTING_SOURCE_UNKNOWN,
    DescribeProcessSettingsRequest,
    DescribeProcessSettingsResponse,
)


def asked(settings: BrokerSettings, origins: dict[str, Origin]) -> DescribeProcessSettingsResponse:
    service = settings_service(BROKER_SETTINGS, settings, origins)
    describe = service.unary[DESCRIBE_PROCESS_SETTINGS]
    answer = asyncio.run(describe(DescribeProcessSettingsRequest(), CallInfo("somebody")))
    assert isinstance(answer, DescribeProcessSettingsResponse)
    return answer


def test_a_process_tells_every_setting_with_its_value_and_where_it_comes_from() -> None:
    settings = BrokerSettings.of({"id": "7", "data_dirs": "/a,/b", "rack": "r1"})
    answer = asked(settings, {"id": Origin(FROM_FLAG, "--id"), "data_dirs": Origin(FROM_FLAG, "--data-dirs")})
    assert (answer.role, answer.id) == ("broker", 7)
    assert [each.name for each in answer.settings] == [each.name for each in BROKER_SETTINGS]
    told = {each.name: each for each in answer.settings}
    assert (told["data_dirs"].value, told["data_dirs"].origin) == ("/a,/b", "--data-dirs")
    assert not told["data_dirs"].HasField("default_value")
    assert (told["disk_stall_ms"].value, told["disk_stall_ms"].source) == ("2000", FROM_DEFAULT)
    assert told["rack"].source == SETTING_SOURCE_UNKNOWN
    assert all(each.read_only and each.type and each.documentation for each in answer.settings)


def test_a_secret_is_neither_told_nor_repeated_in_an_error() -> None:
    table = SettingsTable("broker", "Broker", [("token", Secret(), "changeme", "Opens doors.")])
    told = described(table["token"], "hunter2", Origin(FROM_FLAG, "--token"), read_only=True)
    assert told.secret and "hunter2" not in str(told) and "changeme" not in str(told)
    with pytest.raises(InvalidSettingError) as caught:
        table.parse("token", "hunter2\n")
    assert "hunter2" not in str(caught.value)

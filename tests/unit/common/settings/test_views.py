from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from streamkeep_common.errors import InvalidSettingError, UnknownSettingError
from streamkeep_common.limits import GIB, MIB
from streamkeep_common.settings import (
    BROKER_SETTINGS,
    COORDINATOR_SETTINGS,
    TOPIC_SETTINGS,
    BrokerSettings,
    CoordinatorSettings,
    SettingsTable,
    TopicSettings,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.mark.parametrize(
    ("table", "view"),
    [
        (TOPIC_SETTINGS, TopicSettings),
        (BROKER_SETTINGS, BrokerSettings),
        (COORDINATOR_SETTINGS, CoordinatorSettings),
    ],
)
def test_a_view_has_exactly_the_settings_of_its_table(table: SettingsTable, view: type) -> None:
    assert [field.name for field in dataclasses.fields(view)] == [setting.name for setting in table]


def test_a_topic_is_safe_by_default() -> None:
    settings = TopicSettings.of()
    assert settings.durability == "fsync"
    assert settings.min_insync_replicas == 2
    assert settings.retention_ms == 7 * DAY_MS
    assert settings.retention_bytes == -1
    assert settings.segment_bytes == GIB
    assert settings.max_batch_bytes == 8 * MIB
    assert settings.timestamp_after_max_ms == HOUR_MS
    assert settings.timestamp_before_max_ms == -1


def test_overrides_count_and_the_rest_stays() -> None:
    settings = TopicSettings.of({"retention_ms": "-1", "segment_bytes": "4KiB"})
    assert (settings.retention_ms, settings.segment_bytes) == (-1, 4_096)
    assert settings.segment_ms == 7 * DAY_MS


def test_a_view_refuses_what_its_table_refuses() -> None:
    with pytest.raises(UnknownSettingError):
        TopicSettings.of({"nonsense": "1"})
    with pytest.raises(InvalidSettingError):
        TopicSettings.of({"segment_bytes": "1"})


def test_servers_have_the_defaults_of_the_design() -> None:
    broker = BrokerSettings.of({"id": "1", "data_dirs": "/a,/b"})
    assert (broker.disk_stall_ms, broker.data_dirs) == (2_000, (Path("/a"), Path("/b")))
    assert broker.coordinators == ("127.0.0.1:7101",)
    coordinator = CoordinatorSettings.of({"id": "1", "data_dir": "/c"})
    assert coordinator.listen == "127.0.0.1:7101"
    assert (coordinator.session_timeout_ms, coordinator.session_grace_ms) == (3_000, 300)
    assert (coordinator.default_partitions, coordinator.default_replication_factor) == (6, 3)


def test_what_must_be_given_is_asked_for_with_every_way_to_give_it() -> None:
    with pytest.raises(
        InvalidSettingError, match=r"--id, STREAMKEEP_BROKER_ID, or id in the \[broker\] section"
    ):
        BrokerSettings.of({"data_dirs": "/a"})

from __future__ import annotations

import pytest

from streamkeep_common.errors import InvalidSettingError, UnknownSettingError
from streamkeep_common.settings import (
    BROKER_SETTINGS,
    COORDINATOR_SETTINGS,
    TOPIC_SETTINGS,
    Setting,
    SettingsTable,
)

TABLES = [TOPIC_SETTINGS, BROKER_SETTINGS, COORDINATOR_SETTINGS]
EVERY = [setting for table in TABLES for setting in table]


@pytest.mark.parametrize("setting", EVERY, ids=lambda setting: f"{setting.scope}.{setting.name}")
def test_every_setting_is_documented_and_its_default_is_canonical(setting: Setting) -> None:
    assert setting.doc.endswith(".")
    assert setting.type.description
    if setting.default is not None:
        assert setting.canonical(setting.default) == setting.default


@pytest.mark.parametrize("setting", EVERY, ids=lambda setting: f"{setting.scope}.{setting.name}")
def test_a_number_with_a_unit_says_so_at_the_end_of_its_name(setting: Setting) -> None:
    description = setting.type.description
    assert setting.name.endswith("_ms") == description.startswith("duration")
    assert setting.name.endswith("_bytes") == description.startswith("size")


def test_a_setting_has_one_flag_and_one_variable() -> None:
    setting = BROKER_SETTINGS["data_dirs"]
    assert (setting.flag, setting.environment) == ("--data-dirs", "STREAMKEEP_BROKER_DATA_DIRS")


def test_overrides_are_stored_as_canonical_texts_by_name() -> None:
    overrides = {"segment_bytes": "1 MiB", "retention_ms": "7d", "durability": "os"}
    assert list(TOPIC_SETTINGS.validate(overrides).items()) == [
        ("durability", "os"),
        ("retention_ms", "604800000"),
        ("segment_bytes", "1048576"),
    ]


@pytest.mark.parametrize("wrong", ["retention.ms", "retention-ms", "retentionms", "retention_mss"])
def test_an_unknown_name_is_answered_with_the_nearest(wrong: str) -> None:
    with pytest.raises(UnknownSettingError, match="did you mean retention_ms"):
        TOPIC_SETTINGS.validate({wrong: "1"})


def test_a_name_like_no_other_is_answered_without_an_offer() -> None:
    with pytest.raises(UnknownSettingError) as caught:
        TOPIC_SETTINGS.parse("xyz", "1")
    assert "did you mean" not in str(caught.value)


def test_a_wrong_value_is_answered_with_what_is_right() -> None:
    with pytest.raises(
        InvalidSettingError, match=r"retention_ms cannot be 'soon': it takes a duration in ms"
    ):
        TOPIC_SETTINGS.validate({"retention_ms": "soon"})


def test_a_very_long_value_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidSettingError) as caught:
        BROKER_SETTINGS.validate({"rack": "x" * 1_000_000})
    assert len(str(caught.value)) < 500


def test_the_document_has_a_row_for_every_setting() -> None:
    for table in TABLES:
        text = table.document()
        for setting in table:
            assert f"| `{setting.name}` |" in text
            assert setting.doc in text


def test_the_document_survives_defaults_of_every_kind() -> None:
    table = SettingsTable(
        "x",
        "X",
        [("a", TOPIC_SETTINGS["durability"].type, None, "A."), ("b", BROKER_SETTINGS["rack"].type, "", "B.")],
    )
    assert "(must be given)" in table.document()
    assert "(empty)" in table.document()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("retention.ms", "retention_ms"),
        ("Segment-Bytes", "segment_bytes"),
        ("min.insync.replicas", "min_insync_replicas"),
        ("max.message.bytes", "max_batch_bytes"),
        ("unclean.leader.election.enable", "unclean_leader_election"),
        ("message.timestamp.type", "timestamp_type"),
        ("message.timestamp.after.max.ms", "timestamp_after_max_ms"),
        ("durabilty", "durability"),
    ],
)
def test_a_name_that_is_nearly_right_or_kafkas_is_answered_with_ours(theirs: str, ours: str) -> None:
    with pytest.raises(UnknownSettingError, match=rf"; did you mean {ours}( or \w+)*\?"):
        TOPIC_SETTINGS[theirs]


def test_a_name_that_differs_only_in_its_dots_is_answered_with_that_one_alone() -> None:
    with pytest.raises(UnknownSettingError, match=r"; did you mean retention_ms\?"):
        TOPIC_SETTINGS["retention.ms"]

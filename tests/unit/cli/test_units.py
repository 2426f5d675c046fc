"""Quantities in the largest unit that fits, so that a setting can be typed as it was shown."""

from __future__ import annotations

import pytest

from streamctl.units import duration_text, setting_text, size_text
from streamkeep_common.settings import TOPIC_SETTINGS


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(7 * 86_400_000, "7d"), (36 * 3_600_000, "36h"), (90_000, "90s"), (1_500, "1500ms"), (0, "0ms")],
)
def test_a_duration_is_said_in_the_largest_unit_that_fits(duration_ms: int, text: str) -> None:
    assert duration_text(duration_ms) == text


@pytest.mark.parametrize(("size", "text"), [(1 << 30, "1GiB"), (1536, "1536B"), (4096, "4KiB"), (0, "0B")])
def test_a_size_is_said_in_the_largest_unit_that_fits(size: int, text: str) -> None:
    assert size_text(size) == text


def test_a_setting_that_is_shown_can_be_given_back() -> None:
    for name, value in TOPIC_SETTINGS.defaults().items():
        assert TOPIC_SETTINGS[name].canonical(setting_text(name, value)) == value
    assert setting_text("retention_ms", "-1") == "-1"
    assert setting_text("min_insync_replicas", "2") == "2"

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from streamkeep_common.errors import InvalidSettingError, UnknownSettingError
from streamkeep_common.settings import BROKER_SETTINGS, COORDINATOR_SETTINGS, TOPIC_SETTINGS, Setting

EVERY = st.sampled_from(
    [setting for table in (TOPIC_SETTINGS, BROKER_SETTINGS, COORDINATOR_SETTINGS) for setting in table]
)
QUANTITIES = st.tuples(st.integers(-5, 2**64), st.sampled_from(["", "ms", "s", "d", "B", "KiB", "GiB", "x"]))
TEXTS = st.text(max_size=30) | QUANTITIES.map(lambda pair: f"{pair[0]}{pair[1]}") | st.just("a:1,b:2")


@given(EVERY, TEXTS)
def test_any_text_is_refused_or_has_one_canonical_form(setting: Setting, text: str) -> None:
    with suppress(InvalidSettingError):
        value = setting.parse(text)
        canonical = setting.canonical(text)
        assert setting.parse(canonical) == value
        assert setting.canonical(canonical) == canonical


@given(st.dictionaries(st.text(max_size=20) | EVERY.map(lambda setting: setting.name), TEXTS, max_size=4))
def test_any_overrides_are_valid_or_refused_by_name(overrides: dict[str, str]) -> None:
    with suppress(InvalidSettingError, UnknownSettingError):
        validated = TOPIC_SETTINGS.validate(overrides)
        assert TOPIC_SETTINGS.validate(validated) == validated
        assert sorted(TOPIC_SETTINGS.values(validated)) == sorted(setting.name for setting in TOPIC_SETTINGS)

"""Records that a topic will delete at once: who sends them is told, once and before they are gone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streamctl.records.rows import Rows
from streamctl.retention import FOR_EVER, RetentionWatch, first_before, retention_ms
from streamkeep_proto.v1.coordinator_pb2 import TopicInfo, TopicSetting

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000


def topic(**settings: str) -> TopicInfo:
    return TopicInfo(name="t", settings=[TopicSetting(name=n, value=v) for n, v in settings.items()])


def rows(times_ms: Sequence[int] | None) -> Rows:
    count = 2 if times_ms is None else len(times_ms)
    return Rows(range(7, 7 + count), [b""] * count, timestamps_ms=times_ms)


def watch(**settings: str) -> RetentionWatch:
    watch = RetentionWatch(lambda: NOW_MS)
    watch.learn(topic(**settings))
    return watch


def test_the_first_record_that_is_too_old_is_named_with_what_would_keep_it() -> None:
    warning = watch(retention_ms=str(7 * DAY_MS)).warning("t", rows([NOW_MS, 1_357_034_400_000]))
    assert warning == (
        "line 8 is of 2013-01-01T10:00:00Z, and topic 't' keeps records for 7d by their own time"
        " (retention_ms): this one and all as old will soon be deleted;"
        " `streamctl topic alter t --set retention_ms=-1` keeps them"
    )


def test_it_is_said_once() -> None:
    once = watch(retention_ms="5000")
    assert once.warning("t", rows([NOW_MS, NOW_MS - 5_000])) is None
    assert once.warning("t", rows([NOW_MS - 5_001])) is not None
    assert once.warning("t", rows([0])) is None


@pytest.mark.parametrize(
    "settings", [{"retention_ms": "-1"}, {"retention_ms": "1", "timestamp_type": "append"}, {}]
)
def test_a_topic_that_keeps_all_or_asks_for_no_time_of_ours_is_no_reason(settings: dict[str, str]) -> None:
    assert retention_ms(topic(**settings)) == FOR_EVER
    assert watch(**settings).warning("t", rows([0])) is None


def test_lines_without_a_time_and_topics_that_nobody_described_are_no_reason() -> None:
    assert watch(retention_ms="0").warning("t", rows(None)) is None
    assert watch(retention_ms="0").warning("u", rows([0])) is None


def test_the_first_before_a_bound() -> None:
    assert first_before([], 5) is None
    assert first_before([5, 6], 5) is None
    assert first_before([5, 4, 3], 5) == 1

"""Whether a topic keeps records as old as those that are sent to it: a copy has the times of the original."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from streamctl.units import duration_text

if TYPE_CHECKING:
    from streamctl.records.rows import Rows
    from streamkeep_proto.v1.coordinator_pb2 import TopicInfo

FOR_EVER = -1


def retention_ms(topic: TopicInfo) -> int:
    """How long it keeps records by the time that they bring along; FOR_EVER also where that time is not
    asked for."""
    settings = {setting.name: setting.value for setting in topic.settings}
    if settings.get("timestamp_type") == "append":
        return FOR_EVER
    return int(settings.get("retention_ms", FOR_EVER))


def first_before(timestamps_ms: Sequence[int], bound_ms: int) -> int | None:
    """The index of the first timestamp before `bound_ms`."""
    if not timestamps_ms or min(timestamps_ms) >= bound_ms:
        return None
    return next(index for index, time_ms in enumerate(timestamps_ms) if time_ms < bound_ms)


class RetentionWatch:
    """Warns once for each topic that is sent records which it will delete at once. It looks nothing up: it
    learns of topics when they are described."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._retention_ms: dict[str, int] = {}

    def learn(self, topic: TopicInfo) -> None:
        self._retention_ms[topic.name] = retention_ms(topic)

    def warning(self, topic: str, rows: Rows) -> str | None:
        """What is to be said of these records, which are about to be sent to `topic`."""
        kept_ms = self._retention_ms.get(topic, FOR_EVER)
        if kept_ms == FOR_EVER or rows.timestamps_ms is None:
            return None
        index = first_before(rows.timestamps_ms, self._now_ms() - kept_ms)
        if index is None:
            return None
        del self._retention_ms[topic]
        moment = datetime.fromtimestamp(rows.timestamps_ms[index] // 1_000, UTC)
        return (
            f"line {rows.numbers[index]} is of {moment:%Y-%m-%dT%H:%M:%SZ}, and topic '{topic}' keeps "
            f"records for {duration_text(kept_ms)} by their own time (retention_ms): this one and all as old "
            f"will soon be deleted; `streamctl topic alter {topic} --set retention_ms=-1` keeps them"
        )

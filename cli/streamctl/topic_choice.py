"""The topics and partitions that `consume` is to read, of those that exist now and of those to come. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import translate

from streamctl.failures import CommandError, ExitCode
from streamctl.topic_names import is_pattern, unknown_topic
from streamkeep import TopicPartition


class TopicChoice:
    """Topics by name, by a pattern as in a shell, or all by regular expressions, which may match anywhere.

    `partitions` are those wanted of each topic; none: all. Raises CommandError for what is no expression.
    """

    def __init__(
        self, names: Sequence[str], *, is_regex: bool = False, partitions: Sequence[int] = ()
    ) -> None:
        self._names = [] if is_regex else [name for name in names if not is_pattern(name)]
        self._patterns = [
            _regex(name) if is_regex else re.compile(translate(name))
            for name in names
            if is_regex or is_pattern(name)
        ]
        self._partitions = partitions
        self.text = ", ".join(f"'{name}'" for name in names)

    @property
    def has_patterns(self) -> bool:
        """Topics may come that belong to it."""
        return bool(self._patterns)

    def matches(self, topic: str) -> bool:
        return topic in self._names or any(pattern.search(topic) for pattern in self._patterns)

    def check(self, counts: Mapping[str, int]) -> None:
        """CommandError for a topic or partition that was named and is not there. `counts` are the partitions
        of each topic that exists."""
        for name in self._names:
            if name not in counts:
                raise unknown_topic(name, counts)
            for number in self._partitions:
                if number >= counts[name]:
                    raise CommandError(
                        f"topic '{name}' has no partition {number}: it has 0 to {counts[name] - 1}",
                        ExitCode.NOT_FOUND,
                    )

    def places(self, counts: Mapping[str, int]) -> list[TopicPartition]:
        """All partitions to read, as far as they exist."""
        return [
            TopicPartition(topic, number)
            for topic in [*dict.fromkeys(self._names), *self._matched(counts)]
            for number in dict.fromkeys(self._partitions or range(counts.get(topic, 0)))
            if number < counts.get(topic, 0)
        ]

    def _matched(self, topics: Iterable[str]) -> list[str]:
        return [topic for topic in topics if topic not in self._names and self.matches(topic)]


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise CommandError(f"'{text}' is not a regular expression: {error}", ExitCode.USAGE) from None

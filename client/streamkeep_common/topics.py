"""Which names a topic may have: Kafka's rules, so that topics can move between the two."""

from __future__ import annotations

import re

from streamkeep_common.errors import InvalidTopicNameError
from streamkeep_common.limits import MAX_TOPIC_NAME

INTERNAL_PREFIX = "__"
"""Names of topics that Streamkeep keeps for itself begin so, as Kafka's do."""

_ALLOWED = re.compile(r"[a-zA-Z0-9._-]+")


def check_topic_name(name: str) -> None:
    """InvalidTopicNameError, with what is wrong, unless a topic may be called so."""
    if not name:
        raise InvalidTopicNameError("a topic's name cannot be empty")
    if len(name) > MAX_TOPIC_NAME:
        raise InvalidTopicNameError(f"the topic name '{name[:40]}...' has {len(name)} characters")
    if name in (".", ".."):
        raise InvalidTopicNameError(f"a topic cannot be called '{name}'")
    if _ALLOWED.fullmatch(name) is None:
        wrong = sorted({character for character in name if _ALLOWED.fullmatch(character) is None})
        raise InvalidTopicNameError(f"the topic name {name!r} has {' '.join(map(repr, wrong))} in it")


def is_internal(name: str) -> bool:
    """The topic is not a user's own, by its name."""
    return name.startswith(INTERNAL_PREFIX)

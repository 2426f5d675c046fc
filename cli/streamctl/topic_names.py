"""Topics as users name them: by name, or by a pattern as in a shell. No topic's name has `*`, `?` or `[`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from streamctl.failures import CommandError, ExitCode, nearest

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.coordinator_pb2 import TopicListing


def is_pattern(text: str) -> bool:
    """It names topics by `*`, `?` or `[...]`."""
    return any(sign in text for sign in "*?[")


def matching(names: Iterable[str], known: Sequence[str]) -> list[str]:
    """The topics that are named or matched, each once. CommandError for a name that is not known, offering
    the nearest, and for a pattern that matches nothing."""
    found: dict[str, None] = {}
    for name in names:
        some = [each for each in known if fnmatchcase(each, name)] if is_pattern(name) else [name]
        if not some:
            raise CommandError(f"no topic is named like '{name}'{_SHOWN}", ExitCode.NOT_FOUND)
        if not is_pattern(name) and name not in known:
            raise unknown_topic(name, known)
        found |= dict.fromkeys(some)
    return list(found)


_SHOWN = "; `streamctl topic list` shows those that exist"


def unknown_topic(name: str, known: Iterable[str]) -> CommandError:
    """What is said of a topic that does not exist."""
    return CommandError(f"topic '{name}' does not exist{nearest(name, known) or _SHOWN}", ExitCode.NOT_FOUND)


async def listed(cluster: Cluster, names: Sequence[str]) -> list[TopicListing]:
    """The topics that are named or matched, all if none is named. Raises as `matching`."""
    topics = await cluster.admin.list_topics()
    if not names:
        return topics
    wanted = matching(names, [topic.name for topic in topics])
    by_name = {topic.name: topic for topic in topics}
    return [by_name[name] for name in wanted]

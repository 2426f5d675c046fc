"""Names for the shell's completion: topics, partitions and brokers of the cluster that answers, and settings.

A shell that completes waits for it, so whatever goes wrong or takes long is no completion.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from streamctl.invocation import Invocation

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_common.settings.types import SettingType

ANSWER_S = 0.3
"""For an answer of the cluster; whoever types does not wait longer for names."""


def topics(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of topics."""
    return _matching(context, incomplete, _topic_names)


def partitions(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """TOPIC:PARTITION."""
    return _matching(context, incomplete, _partition_names)


def brokers(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Ids of brokers."""
    return _matching(context, incomplete, _broker_ids)


def settings(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """NAME= of a topic's settings; behind that, the values that can be listed."""
    from streamkeep_common.settings import TOPIC_SETTINGS

    name, equals, value = incomplete.partition("=")
    if not equals:
        return [f"{each}=" for each in setting_names(context, parameter, name)]
    words = _words(TOPIC_SETTINGS[name].type) if name in TOPIC_SETTINGS else []
    return [f"{name}={word}" for word in words if word.startswith(value)]


def setting_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of a topic's settings."""
    from streamkeep_common.settings import TOPIC_SETTINGS

    return [setting.name for setting in TOPIC_SETTINGS if setting.name.startswith(incomplete)]


def _words(kind: SettingType) -> list[str]:
    from streamkeep_common.settings.types import Choice, Integer

    if isinstance(kind, Choice):
        return list(kind.words)
    return [str(value) for value, _ in kind.special] if isinstance(kind, Integer) else []


def _matching(
    context: click.Context, incomplete: str, names: Callable[[Cluster], Awaitable[list[str]]]
) -> list[str]:
    from streamctl.cluster import ask

    invocation = replace(context.ensure_object(Invocation), timeout=ANSWER_S, is_warned=True)
    try:
        found = ask(invocation, names)
    except Exception:
        return []
    return [name for name in found if name.startswith(incomplete)]


async def _topic_names(cluster: Cluster) -> list[str]:
    return [topic.name for topic in await cluster.admin.list_topics()]


async def _partition_names(cluster: Cluster) -> list[str]:
    topics = await cluster.admin.list_topics()
    return [f"{topic.name}:{number}" for topic in topics for number in range(topic.partitions)]


async def _broker_ids(cluster: Cluster) -> list[str]:
    return [str(broker.broker_id) for broker in (await cluster.admin.describe_cluster()).brokers]

"""`streamctl partition list`: who leads each partition, who is in sync, and what ails it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from streamctl.completion import topics as complete_topic
from streamctl.invocation import Invocation, list_options, pass_invocation
from streamctl.output import Cell, Table, emit
from streamctl.watch import WatchedCommand, look, watch_option

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.coordinator_pb2 import TopicInfo

_COLUMNS = ("topic", "partition", "leader", "leader_epoch", "replicas", "isr", "elr", "state")


@click.command("list", cls=WatchedCommand)
@click.argument("names", metavar="[TOPIC|PATTERN]...", nargs=-1, shell_complete=complete_topic)
@click.option("--ill", is_flag=True, help="Only those whose state is not ok.")
@watch_option
@list_options
@pass_invocation
def list_(invocation: Invocation, /, *, names: tuple[str, ...], ill: bool, watch_s: float | None) -> None:
    """List partitions with leaders and replicas; of all topics if none is named.

    \b
    streamctl partition list flights
    streamctl partition list --ill --watch
    """
    from streamctl.topic_names import listed

    async def find(cluster: Cluster) -> list[dict[str, Cell]]:
        wanted = [topic.name for topic in await listed(cluster, names)]
        return _rows(await cluster.admin.describe_topics(wanted)) if wanted else []

    def show(found: list[dict[str, Cell]]) -> None:
        data = [each for each in found if not ill or each["state"] != "ok"]
        titles = [column.replace("_", " ").upper() for column in _COLUMNS]
        table = Table(titles, [[each[column] for column in _COLUMNS] for each in data])
        emit(invocation, data, table, names=[f"{each['topic']}:{each['partition']}" for each in data])

    look(invocation, watch_s, find, show)


def _rows(topics: Sequence[TopicInfo]) -> list[dict[str, Cell]]:
    from streamctl.health import required_isr_of
    from streamctl.partitions import state_words

    return [
        {
            "topic": topic.name,
            "partition": each.partition,
            "leader": each.leader or None,
            "leader_epoch": each.leader_epoch,
            "replicas": list(each.replicas),
            "isr": list(each.isr),
            "elr": list(each.elr),
            "state": state_words(each, required_isr_of(topic)),
        }
        for topic in topics
        if not topic.HasField("error")  # deleted since it was listed
        for each in topic.partitions
    ]

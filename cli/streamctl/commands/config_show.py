"""`streamctl config show`: what is set now, and who set it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import Invocation, list_options, pass_invocation
from streamctl.output import Cell, Table, emit

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.settings_pb2 import DescribedSetting

SCOPES = ("topic", "broker", "coordinator")


@click.command()
@click.argument("scope", type=click.Choice(SCOPES), metavar="topic|broker|coordinator")
@click.argument("which", metavar="NAME|ID")
@click.option("--changed", is_flag=True, help="Only what is not at its default.")
@list_options
@pass_invocation
def show(invocation: Invocation, /, *, scope: str, which: str, changed: bool) -> None:
    """Show what is set now of a topic, a broker or a coordinator that runs, and where each value is from.

    \b
    streamctl config show topic flights
    streamctl config show broker 1 --changed
    """
    from streamctl.cluster import ask

    settings = ask(invocation, lambda cluster: _settings(cluster, scope, which))
    data = [_fields(each) for each in settings.values()]
    data = [each for each in data if each["source"] != "default"] if changed else data
    rows = [(each["name"], each["value"], _source(each)) for each in data]
    names = [each["name"] for each in data]
    emit(invocation, data, Table(("SETTING", "VALUE", "SOURCE"), rows), names=names)


async def _settings(cluster: Cluster, scope: str, which: str) -> Mapping[str, DescribedSetting]:
    if scope == "topic":
        await cluster.topic(which)
        return await cluster.admin.describe_topic_settings(which)
    if not (which.isascii() and which.isdecimal()):
        raise click.UsageError(f"'{which}' is no id of a {scope}: it is a number, as in 1")
    number = int(which)
    if scope == "broker":
        from streamctl.draining import find_broker

        await find_broker(cluster, number)
        return await cluster.admin.describe_broker_settings(number)
    known = [each.coordinator_id for each in (await cluster.quorum()).members]
    if number not in known:
        ids = ", ".join(map(str, known))
        raise CommandError(f"there is no coordinator {number}; there are {ids}", ExitCode.NOT_FOUND)
    return await cluster.admin.describe_coordinator_settings(number)


def _fields(setting: DescribedSetting) -> dict[str, Cell]:
    from streamkeep.admin.settings import source_name

    return {
        "name": setting.name,
        "value": None if setting.secret else setting.value,
        "source": source_name(setting),
        "origin": setting.origin or None,
        "default": setting.default_value if setting.HasField("default_value") else None,
        "read_only": setting.read_only,
    }


def _source(fields: Mapping[str, Cell]) -> str:
    return f"{fields['source']} {fields['origin']}" if fields["origin"] else str(fields["source"])

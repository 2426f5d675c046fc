"""`streamctl config`: what may be set, from the tables that the servers themselves use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from streamctl.commands.config_show import show
from streamctl.failures import CommandError, ExitCode
from streamctl.groups import NounGroup
from streamctl.invocation import Invocation, local_list_options, pass_invocation
from streamctl.output import Cell, Table, emit

if TYPE_CHECKING:
    from streamkeep_common.settings import Setting, SettingsTable

SCOPES = ("topic", "broker", "coordinator")

_scope = click.argument("scope", type=click.Choice(SCOPES), metavar="topic|broker|coordinator")


def _names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    scope = context.params.get("scope")
    known = _table(scope) if scope in SCOPES else ()
    return [setting.name for setting in known if setting.name.startswith(incomplete)]


def _table(scope: str) -> SettingsTable:
    from streamkeep_common.settings import BROKER_SETTINGS, COORDINATOR_SETTINGS, TOPIC_SETTINGS

    return {"topic": TOPIC_SETTINGS, "broker": BROKER_SETTINGS, "coordinator": COORDINATOR_SETTINGS}[scope]


@click.group(cls=NounGroup)
def config() -> None:
    """Show what may be set of topics and servers, and what is."""


config.add_command(show)


@config.command("list")
@_scope
@local_list_options
@pass_invocation
def list_(invocation: Invocation, /, *, scope: str) -> None:
    """List the settings of topics, brokers or coordinators, with their defaults and what they take."""
    settings = list(_table(scope))
    rows = [(each.name, _default(each), _plain(each.type.description)) for each in settings]
    table = Table(("SETTING", "DEFAULT", "TAKES"), rows)
    emit(invocation, [_fields(each) for each in settings], table, names=[each.name for each in settings])


@config.command()
@_scope
@click.argument("names", metavar="[SETTING]...", nargs=-1, shell_complete=_names)
@local_list_options
@pass_invocation
def describe(invocation: Invocation, /, *, scope: str, names: tuple[str, ...]) -> None:
    """Tell what settings mean: those that are named, or all of topics, brokers or coordinators.

    \b
    streamctl config describe topic retention_ms
    streamctl topic alter flights --set retention_ms=1d
    """
    settings = _chosen(_table(scope), names)
    if invocation.is_data:
        emit(invocation, [_fields(each) for each in settings], names=[each.name for each in settings])
        return
    click.echo("\n\n".join(map(_text, settings)))


def _chosen(table: SettingsTable, names: Iterable[str]) -> list[Setting]:
    from streamkeep_common.errors import UnknownSettingError

    try:
        return [table[name] for name in names] or list(table)
    except UnknownSettingError as error:
        raise CommandError(error.message, ExitCode.NOT_FOUND) from error


def _fields(setting: Setting) -> dict[str, Cell]:
    server = setting.scope != "topic"
    return {
        "name": setting.name,
        "scope": setting.scope,
        "default": setting.default,
        "takes": setting.type.description,
        "flag": setting.flag if server else None,
        "environment": setting.environment if server else None,
        "documentation": setting.doc,
    }


def _text(setting: Setting) -> str:
    width = click.formatting.HelpFormatter().width
    about = click.wrap_text(_plain(setting.doc), width, "  ", "  ")
    lines = [f"default: {_default(setting)}", f"takes:   {_plain(setting.type.description)}"]
    if setting.scope != "topic":
        lines.append(f"set by:  {setting.flag} or {setting.environment}")
    return "\n".join([setting.name, about, *(click.wrap_text(line, width, "  ", " " * 11) for line in lines)])


def _default(setting: Setting) -> str:
    return "must be given" if setting.default is None else setting.default or "empty"


def _plain(text: str) -> str:
    """Without the marks of the reference's markdown."""
    return text.replace("`", "")

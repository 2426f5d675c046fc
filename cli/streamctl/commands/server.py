"""`streamctl coordinator` and `streamctl broker`; their `run` is what containers and service managers start.

Its options are the settings tables. The command becomes the server process, so that nothing of the
command line stays in its memory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from streamctl.commands import broker_drain, broker_show
from streamctl.commands.coordinator_data import log, recover
from streamctl.groups import NounGroup
from streamkeep_common.settings import BROKER_SETTINGS, COORDINATOR_SETTINGS, Setting, SettingsTable


def _option(setting: Setting) -> click.Option:
    default = "required" if setting.default is None else f"default: {setting.default or 'empty'}"
    return click.Option(
        [setting.flag],
        metavar=setting.name.rpartition("_")[2].upper(),
        help=f"{setting.doc} Takes {setting.type.description}.  [env: {setting.environment}; {default}]",
    )


def _run_command(module: str, table: SettingsTable) -> click.Command:
    def run(config: Path | None, **values: str | None) -> None:
        arguments = [sys.executable, "-m", module]
        if config is not None:
            arguments += ["--config", str(config)]
        for setting in table:
            value = values[setting.name]
            if value is not None:
                arguments.append(f"{setting.flag}={value}")
        os.execv(sys.executable, arguments)  # noqa: S606 - no shell, our own interpreter

    config = click.Option(
        ["--config"],
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=f"TOML file with a [{table.scope}] section of settings.",
    )
    return click.Command(
        "run",
        callback=run,
        params=[config, *map(_option, table)],
        help=f"Run a {table.scope} until SIGTERM. A flag wins over the environment, that over the file.",
    )


@click.group(cls=NounGroup)
def coordinator() -> None:
    """Run a coordinator, or look into what it stored."""


@click.group(cls=NounGroup)
def broker() -> None:
    """Run a broker; look at brokers, empty them, take them out."""


coordinator.add_command(log)
coordinator.add_command(recover)
coordinator.add_command(_run_command("streamkeep_coordinator", COORDINATOR_SETTINGS))
broker.add_command(_run_command("streamkeep_broker", BROKER_SETTINGS))
for _command in (*broker_show.COMMANDS, *broker_drain.COMMANDS):
    broker.add_command(_command)

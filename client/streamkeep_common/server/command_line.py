"""The command line of a server process: its settings table as flags, and `--config`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from streamkeep_common.settings import Loaded, SettingsTable, load


def parse(table: SettingsTable, arguments: Sequence[str], environment: Mapping[str, str]) -> Loaded:
    """What is set by flags, environment and file, as `load` gives it.

    SystemExit(2) on a flag it does not know. UnknownSettingError and InvalidSettingError name the source.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m streamkeep_{table.scope}",
        description=f"A Streamkeep {table.scope}. A flag wins over the environment, that over the file.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, help=f"TOML file with a [{table.scope}] section")
    for setting in table:
        parser.add_argument(setting.flag, dest=setting.name, help=setting.doc.replace("%", "%%"))
    flags = vars(parser.parse_args(arguments))
    file = flags.pop("config")
    return load(table, file=file, environment=environment, flags=flags)

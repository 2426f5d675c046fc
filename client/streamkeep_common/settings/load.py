"""Settings of a process from where operators put them: flags, environment, a TOML file.

A flag wins over the environment, the environment over the file, the file over the default. An error
names the source, so that the operator knows where to look.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from streamkeep_common.errors import InvalidSettingError, StreamkeepError
from streamkeep_common.settings.describe import Origin
from streamkeep_common.settings.table import SettingsTable, environment_prefix
from streamkeep_proto.v1.settings_pb2 import FROM_ENVIRONMENT, FROM_FILE, FROM_FLAG


class Loaded(NamedTuple):
    """What is set: canonical texts for the table's view (`BrokerSettings.of`), and where each comes from."""

    texts: dict[str, str]
    origins: dict[str, Origin]


def load(
    table: SettingsTable,
    *,
    file: Path | None = None,
    environment: Mapping[str, str],
    flags: Mapping[str, str | None],
) -> Loaded:
    """What is set, by name.

    `flags` are by setting name; None is a flag that was not given. The file has a section for each scope.
    UnknownSettingError or InvalidSettingError for anything that the table does not know or allow.
    """
    from_file = _from_file(table, file) if file else {}
    from_environment = _from_environment(table, environment)
    from_flags = {name: text for name, text in flags.items() if text is not None}
    loaded = Loaded({}, {})
    loaded.texts.update(_validate(table, str(file), from_file))
    loaded.origins.update((name, Origin(FROM_FILE, str(file))) for name in from_file)
    loaded.texts.update(_validate(table, "environment", from_environment))
    loaded.origins.update(
        (name, Origin(FROM_ENVIRONMENT, table[name].environment)) for name in from_environment
    )
    loaded.texts.update(_validate(table, "command line", from_flags))
    loaded.origins.update((name, Origin(FROM_FLAG, table[name].flag)) for name in from_flags)
    return loaded


def _validate(table: SettingsTable, source: str, overrides: Mapping[str, str]) -> dict[str, str]:
    try:
        return table.validate(overrides)
    except StreamkeepError as error:
        raise type(error)(f"{source}: {error.message}") from None


def _from_environment(table: SettingsTable, environment: Mapping[str, str]) -> dict[str, str]:
    prefix = environment_prefix(table.scope)
    return {
        name.removeprefix(prefix).lower(): environment[name]
        for name in sorted(environment)
        if name.startswith(prefix)
    }


def _from_file(table: SettingsTable, file: Path) -> dict[str, str]:
    try:
        contents = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSettingError(f"{file}: the settings file cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettingError(f"{file}: the settings file is not TOML: {error}") from None
    section = contents.get(table.scope, {})
    if not isinstance(section, dict):
        raise InvalidSettingError(f"{file}: {table.scope} has to be a section: [{table.scope}]")
    return {name: _text(file, name, value) for name, value in section.items()}


def _text(file: Path, name: str, value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_text(file, name, item) for item in value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidSettingError(f"{file}: {name} has to be a text, a whole number, or a list of texts")
    return str(value)

"""Settings of a process from where operators put them: flags, environment, a TOML file.

A flag wins over the environment, the environment over the file, the file over the default. An error
names the source, so that the operator knows where to look.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamkeep_common.errors import InvalidSettingError, StreamkeepError
from streamkeep_common.settings.table import SettingsTable, environment_prefix


def load(
    table: SettingsTable,
    *,
    file: Path | None = None,
    environment: Mapping[str, str],
    flags: Mapping[str, str | None],
) -> dict[str, str]:
    """Canonical texts of what is set, for the table's view (`BrokerSettings.of`).

    `flags` are by setting name; None is a flag that was not given. The file has a section for each scope.
    UnknownSettingError or InvalidSettingError for anything that the table does not know or allow.
    """
    sources = [
        (str(file), _from_file(table, file) if file else {}),
        ("environment", _from_environment(table, environment)),
        ("command line", {name: text for name, text in flags.items() if text is not None}),
    ]
    texts: dict[str, str] = {}
    for source, overrides in sources:
        try:
            texts |= table.validate(overrides)
        except StreamkeepError as error:
            raise type(error)(f"{source}: {error.message}") from None
    return texts


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

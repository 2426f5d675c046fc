"""A table of settings: names, types, defaults and what they are for."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamkeep_common.errors import InvalidSettingError, UnknownSettingError
from streamkeep_common.limits import MAX_SETTING_TEXT
from streamkeep_common.settings.types import Secret, SettingType


def environment_prefix(scope: str) -> str:
    """How the environment variables of a scope's settings begin."""
    return f"STREAMKEEP_{scope}_".upper()


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. Its name ends in its unit; `default` is canonical text, None if it has to be given."""

    scope: str
    name: str
    type: SettingType
    default: str | None
    doc: str

    @property
    def environment(self) -> str:
        """The environment variable that sets it, e.g. STREAMKEEP_BROKER_LISTEN."""
        return environment_prefix(self.scope) + self.name.upper()

    @property
    def flag(self) -> str:
        """The command-line option that sets it, e.g. --data-dirs."""
        return "--" + self.name.replace("_", "-")

    @property
    def is_secret(self) -> bool:
        """Its value is never shown."""
        return isinstance(self.type, Secret)

    def parse(self, text: str) -> Any:
        """The value of a text. InvalidSettingError says what would be right."""
        try:
            if len(text) > MAX_SETTING_TEXT:
                raise ValueError(f"its text is longer than {MAX_SETTING_TEXT} characters")
            return self.type.parse(text)
        except ValueError as error:
            raise InvalidSettingError(
                f"{self.scope} setting {self.name} cannot be {self._shown(text)}: {error}"
            ) from None

    def _shown(self, text: str) -> str:
        if self.is_secret:
            return "what was given"
        return f"'{text}'" if len(text) <= 80 else f"'{text[:80]}...'"

    def canonical(self, text: str) -> str:
        """The text that is stored: numbers without units, lists without spaces."""
        return self.type.format(self.parse(text))


class SettingsTable:
    """The settings of one scope (topic, broker, coordinator), in the order in which they are documented."""

    def __init__(
        self, scope: str, title: str, settings: Sequence[tuple[str, SettingType, str | None, str]]
    ) -> None:
        self.scope = scope
        self.title = title
        self._settings = {
            name: Setting(scope, name, kind, default, doc) for name, kind, default, doc in settings
        }
        assert len(self._settings) == len(settings), "a name stands once"

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._settings.values())

    def __len__(self) -> int:
        return len(self._settings)

    def __getitem__(self, name: str) -> Setting:
        """The setting. UnknownSettingError, which offers the nearest names."""
        try:
            return self._settings[name]
        except KeyError:
            raise UnknownSettingError(self._unknown(name)) from None

    def __contains__(self, name: str) -> bool:
        return name in self._settings

    def parse(self, name: str, text: str) -> Any:
        """The value of a setting's text. UnknownSettingError, InvalidSettingError."""
        return self[name].parse(text)

    def validate(self, overrides: Mapping[str, str]) -> dict[str, str]:
        """The overrides with canonical texts, by name. UnknownSettingError, InvalidSettingError."""
        return {name: self[name].canonical(overrides[name]) for name in sorted(overrides)}

    def defaults(self) -> dict[str, str]:
        """Canonical text of every setting that has a default."""
        return {setting.name: setting.default for setting in self if setting.default is not None}

    def values(self, overrides: Mapping[str, str]) -> dict[str, Any]:
        """The value of every setting, overridden or default. InvalidSettingError if there is neither."""
        texts = self.defaults() | self.validate(overrides)
        for setting in self:
            if setting.name not in texts:
                raise InvalidSettingError(
                    f"{self.scope} setting {setting.name} has to be given: by {setting.flag}, "
                    f"{setting.environment}, or {setting.name} in the [{self.scope}] section of the file"
                )
        return {setting.name: setting.parse(texts[setting.name]) for setting in self}

    def document(self) -> str:
        """The table as markdown, under a heading."""
        lines = [f"## {self.title}", "", "| setting | default | takes | meaning |", "|---|---|---|---|"]
        for setting in self:
            default = (
                "(must be given)"
                if setting.default is None
                else f"`{setting.default}`"
                if setting.default
                else "(empty)"
            )
            lines.append(f"| `{setting.name}` | {default} | {setting.type.description} | {setting.doc} |")
        return "\n".join(lines) + "\n"

    def _unknown(self, name: str) -> str:
        """Only the dots of Kafka's names, or dashes, to be replaced: then there is one that was meant."""
        ours = name.lower().replace(".", "_").replace("-", "_")
        nearest = [ours] if ours in self else difflib.get_close_matches(ours, self._settings, n=3)
        offer = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        return f"there is no {self.scope} setting '{name[:80]}'{offer}"

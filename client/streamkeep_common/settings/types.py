"""What a setting's text may be: each type reads text, and writes the one canonical text of a value.

A type knows nothing of names and sources: its ValueErrors say what would be right, the table adds the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from streamkeep_common.limits import GIB, KIB, MIB

_DURATIONS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZES_BYTES = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": 1024 * GIB}
_QUANTITY = re.compile(r"(-?[0-9]{1,19})\s*([A-Za-z]*)")
_MEMBER_ID = re.compile(r"[1-9][0-9]{0,8}")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


class SettingType(Protocol):
    """How a setting's value is written."""

    @property
    def description(self) -> str:
        """What to write, for documentation and help."""
        ...

    def parse(self, text: str) -> Any:
        """The value. ValueError, with what would be right, if it is not allowed."""
        ...

    def format(self, value: Any) -> str:
        """The canonical text, which parses to the same value."""
        ...


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number, or one with a unit. `special` values are allowed besides the range, with a meaning."""

    minimum: int
    maximum: int
    special: tuple[tuple[int, str], ...] = ()
    units: tuple[tuple[str, int], ...] = ()
    noun: str = "whole number"

    @property
    def description(self) -> str:
        special = "".join(f"; {value} = {meaning}" for value, meaning in self.special)
        return f"{self.noun}, {self.minimum} to {self.maximum}{special}"

    def parse(self, text: str) -> int:
        match = _QUANTITY.fullmatch(text)
        units = dict(self.units)
        if match is None or (match[2] and match[2] not in units):
            raise ValueError(f"it takes a {self.description}")
        value = int(match[1]) * units.get(match[2], 1)
        if not self.minimum <= value <= self.maximum and value not in dict(self.special):
            raise ValueError(f"it takes a {self.description}")
        return value

    def format(self, value: int) -> str:
        return str(value)


def duration(minimum: int, maximum: int, *, special: Sequence[tuple[int, str]] = ()) -> Integer:
    """Milliseconds, or with one of the units ms, s, m, h, d."""
    return Integer(
        minimum, maximum, tuple(special), tuple(_DURATIONS_MS.items()), "duration in ms (or 30s, 7d)"
    )


def size(minimum: int, maximum: int, *, special: Sequence[tuple[int, str]] = ()) -> Integer:
    """Bytes, or with one of the units B, KiB, MiB, GiB, TiB."""
    return Integer(
        minimum, maximum, tuple(special), tuple(_SIZES_BYTES.items()), "size in bytes (or 64KiB, 1GiB)"
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def description(self) -> str:
        return " or ".join(f"`{word}`" for word in self.words)

    def parse(self, text: str) -> str:
        if text not in self.words:
            raise ValueError(f"it takes {self.description}")
        return text

    def format(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """Any short text of printable characters."""

    max_characters: int = 249

    @property
    def description(self) -> str:
        return f"text, at most {self.max_characters} characters"

    def parse(self, text: str) -> str:
        if len(text) > self.max_characters or not text.isprintable():
            raise ValueError(f"it takes {self.description}")
        return text

    def format(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that nobody is shown, not even in an error about it."""

    max_characters: int = 4_096

    @property
    def description(self) -> str:
        return f"secret text, at most {self.max_characters} characters"

    def parse(self, text: str) -> str:
        if len(text) > self.max_characters or not text.isprintable():
            raise ValueError(f"it takes a {self.description}")
        return text

    def format(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class Address:
    """host:port. Port 0, any free one, only makes sense where one listens; `optional` allows no text."""

    lowest_port: int = 1
    optional: bool = False

    @property
    def description(self) -> str:
        return "`host:port`" + (", or empty" if self.optional else "")

    def parse(self, text: str) -> str:
        if self.optional and not text:
            return text
        match = _ADDRESS.fullmatch(text)
        if match is None or not self.lowest_port <= int(match[2]) <= 65_535:
            raise ValueError(f"it takes {self.description}")
        return text

    def format(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class MemberList:
    """Coordinators by id with their addresses; a cluster's only one may leave its own out. Also empty."""

    max_members: int = 7

    @property
    def description(self) -> str:
        return (
            f"`id@host:port`, 1 to {self.max_members} separated by commas; "
            "`id` alone if there is one; or empty"
        )

    def parse(self, text: str) -> tuple[tuple[int, str], ...]:
        """Id and address of each, by id; address "" = its own, whatever it is."""
        members = dict(self._member(part.strip()) for part in text.split(",")) if text.strip() else {}
        count = text.count(",") + 1 if members else 0
        if len(members) != count or count > self.max_members or (count > 1 and "" in members.values()):
            raise ValueError(f"it takes {self.description}; each id once")
        return tuple(sorted(members.items()))

    def format(self, value: Sequence[tuple[int, str]]) -> str:
        return ",".join(f"{number}@{address}" if address else str(number) for number, address in value)

    def _member(self, part: str) -> tuple[int, str]:
        number, _, address = part.partition("@")
        match = _ADDRESS.fullmatch(address)
        if not _MEMBER_ID.fullmatch(number) or (address and (match is None or int(match[2]) > 65_535)):
            raise ValueError(f"it takes {self.description}")
        return int(number), address


@dataclass(frozen=True, slots=True)
class AddressList:
    """At least one host:port, separated by commas."""

    @property
    def description(self) -> str:
        return "`host:port`, several separated by commas"

    def parse(self, text: str) -> tuple[str, ...]:
        try:
            return tuple(Address().parse(item.strip()) for item in text.split(","))
        except ValueError:
            raise ValueError(f"it takes {self.description}") from None

    def format(self, value: Sequence[str]) -> str:
        return ",".join(value)


@dataclass(frozen=True, slots=True)
class Directory:
    """The path of a directory; it need not exist."""

    @property
    def description(self) -> str:
        return "path of a directory"

    def parse(self, text: str) -> Path:
        if not text or not text.isprintable():
            raise ValueError(f"it takes the {self.description}, without control characters")
        return Path(text)

    def format(self, value: Path) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class DirectoryList:
    """At least one path, separated by commas, none twice."""

    @property
    def description(self) -> str:
        return "paths of directories, several separated by commas"

    def parse(self, text: str) -> tuple[Path, ...]:
        paths = tuple(Directory().parse(item.strip()) for item in text.split(","))
        if any(str(path) != str(path).strip() for path in paths):
            raise ValueError("it takes paths that neither begin nor end with a space")
        if len(set(paths)) != len(paths):
            raise ValueError("it takes each directory once")
        return paths

    def format(self, value: Sequence[Path]) -> str:
        return ",".join(str(path) for path in value)

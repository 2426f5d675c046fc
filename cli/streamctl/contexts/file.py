"""The contexts that a user has named, in one TOML file: written as one step, read by its owner only.

It owns the file's format and its errors; it must not know which context a command means.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamctl.failures import CommandError, ExitCode, nearest
from streamctl.xdg import base_directory

_HEADER = re.compile(r"\s*\[\s*contexts\s*\.\s*(?:\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+))\s*\]")
_INTRODUCTION = "# Clusters that streamctl knows by name; `streamctl context` writes this file.\n"


@dataclass(frozen=True, slots=True)
class Context:
    """A cluster by name. `danger`: commands that destroy ask for its name, and it is shown in red."""

    name: str
    bootstrap: str
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Contexts:
    """All of them by name; `current` is used when nothing else is said, `previous` was before it. Either is
    "" if there is none."""

    by_name: Mapping[str, Context] = field(default_factory=dict)
    current: str = ""
    previous: str = ""

    def find(self, name: str) -> Context:
        """CommandError, offering the nearest name, if there is none of that name."""
        if name in self.by_name:
            return self.by_name[name]
        offer = nearest(name, self.by_name) or "; `streamctl context list` shows those that are"
        raise CommandError(f"there is no context '{name}'{offer}", ExitCode.NOT_FOUND)


def config_path() -> Path:
    """$XDG_CONFIG_HOME/streamkeep/streamctl.toml, by default under ~/.config."""
    return base_directory("XDG_CONFIG_HOME", ".config") / "streamkeep" / "streamctl.toml"


def read_contexts(path: Path) -> Contexts:
    """None if there is no file. CommandError with file and line if it cannot be understood."""
    import tomllib

    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Contexts()
    except UnicodeDecodeError as error:
        raise _broken(path, f"byte {error.start} is no UTF-8") from error
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _decoded(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _broken(path, _twice_named(text) or str(error)) from error
    except ValueError as error:
        raise _broken(path, str(error)) from error


@contextmanager
def changing(path: Path) -> Iterator[_Change]:
    """Read, change, write: no other command changes the file meanwhile. CommandError if it is not to be
    written."""
    try:
        path = Path(os.path.realpath(path))  # a link stays one
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        change = _Change(read_contexts(path))
        yield change
        _write(path, encode(change.contexts))
        os.fsync(directory)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        os.close(directory)


@dataclass
class _Change:
    contexts: Contexts


def encode(contexts: Contexts) -> str:
    """The file's text. Strings are quoted as in JSON, which is how TOML quotes them."""
    chosen = {"current": contexts.current, "previous": contexts.previous}
    lines = [_INTRODUCTION, *(f"{name} = {_quoted(value)}" for name, value in chosen.items() if value)]
    for context in contexts.by_name.values():
        lines += ["", f"[contexts.{_quoted(context.name)}]", f"bootstrap = {_quoted(context.bootstrap)}"]
        lines += ["danger = true"] if context.danger else []
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write(path: Path, text: str) -> None:
    import tempfile  # loads much, and most commands only read

    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _decoded(data: Mapping[str, Any]) -> Contexts:
    """Raises ValueError. Names that are not known here are a newer version's, and are left alone."""
    by_name = {}
    contexts = data.get("contexts", {})
    if not isinstance(contexts, dict):
        raise ValueError("`contexts` is no table")
    for name, fields in contexts.items():
        if not isinstance(fields, dict) or not isinstance(fields.get("bootstrap"), str):
            raise ValueError(f"context '{name}' has no `bootstrap`, as in \"localhost:7101\"")
        if not isinstance(fields.get("danger", False), bool):
            raise ValueError(f"`danger` of context '{name}' is neither true nor false")
        by_name[name] = Context(name, fields["bootstrap"], fields.get("danger", False))
    chosen = [data.get(key, "") for key in ("current", "previous")]
    if not all(isinstance(name, str) for name in chosen):
        raise ValueError("`current` and `previous` are names of contexts")
    return Contexts(by_name, *chosen)


def _twice_named(text: str) -> str:
    """Which two contexts have one name, and in which lines; "" if that is not what is wrong."""
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _HEADER.match(line):
            name = next(group for group in match.groups() if group is not None)
            if name in seen:
                return f"two contexts are named '{name}', in lines {seen[name]} and {number}: rename one"
            seen[name] = number
    return ""


def _broken(path: Path, reason: str) -> CommandError:
    return CommandError(f"{path} is not as `streamctl context` writes it: {reason}. Mend it, or move it away")


def _unwritable(path: Path, error: OSError) -> CommandError:
    reason = error.strerror or str(error)
    return CommandError(
        f"{path} cannot be written: {reason}. Mend that, let XDG_CONFIG_HOME name another directory, or do"
        " without: --bootstrap and STREAMKEEP_BOOTSTRAP need no file"
    )

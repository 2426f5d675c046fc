"""Data as YAML 1.2, in blocks, for people who read it and for tools that take nothing else. Pure.

Only what JSON can say. Text that could be taken for something else is quoted as in JSON, which YAML reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_NOT_TEXT = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_LINE_BREAKS = str.maketrans({"\x85": r"\N", "\u2028": r"\L", "\u2029": r"\P"})
"""Line breaks to older parsers, which fold them even between quotes."""


def to_yaml(data: object) -> str:
    """Text without a newline at its end. Mappings are written in their order; keys are text."""
    return "\n".join(_lines(data))


def _lines(data: object) -> Iterator[str]:
    if not _is_block(data):
        yield _flow(data)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _entry(f"{_scalar(str(key))}:", value)
    elif _is_list(data):
        for item in data:
            first, *others = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)


def _entry(key: str, value: object) -> Iterator[str]:
    if _is_block(value):
        yield key
        yield from (f"  {line}" for line in _lines(value))
    else:
        yield f"{key} {_flow(value)}"


def _is_block(data: object) -> bool:
    """It takes lines of its own."""
    if isinstance(data, Mapping):
        return bool(data)
    return _is_list(data) and any(isinstance(item, Mapping) or _is_list(item) for item in data)


def _flow(data: object) -> str:
    """On one line: a scalar, a list of scalars, or what is empty."""
    if isinstance(data, Mapping):
        return "{}"
    if _is_list(data):
        return f"[{', '.join(map(_scalar, data))}]"
    return _scalar(data)


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False).translate(_LINE_BREAKS)


def _is_list(data: object) -> TypeGuard[Sequence[object]]:
    return isinstance(data, Sequence) and not isinstance(data, str)

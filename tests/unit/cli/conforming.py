"""Whether data have a shape of `streamctl.shapes`, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streamctl.shapes import Shape

_TYPES: dict[str, type | tuple[type, ...]] = {"text": str, "number": (int, float), "flag": bool}


def faults(data: Any, shape: Shape, place: str = "$") -> Iterator[str]:
    """What does not conform, with its place."""
    if isinstance(shape, str):
        yield from _scalar_faults(data, shape, place)
    elif isinstance(shape, Mapping):
        if not isinstance(data, dict):
            yield f"{place} is no mapping"
            return
        named = {key: each for key, each in shape.items() if not key.startswith("<")}
        free = next((each for key, each in shape.items() if key.startswith("<")), None)
        if missing := named.keys() - data.keys():
            yield f"{place} lacks {sorted(missing)}"
        if free is None and (more := data.keys() - named.keys()):
            yield f"{place} has {sorted(more)} too"
        for key, value in data.items():
            yield from faults(value, named.get(key, free or "text?"), f"{place}.{key}")
    elif not isinstance(data, list):
        yield f"{place} is no list"
    else:
        for index, item in enumerate(data):
            yield from faults(item, shape[0], f"{place}[{index}]")


def _scalar_faults(data: Any, shape: str, place: str) -> Iterator[str]:
    if data is None and shape.endswith("?"):
        return
    kind = shape.removesuffix("?")
    is_flag = isinstance(data, bool)
    if not isinstance(data, _TYPES[kind]) or (is_flag and kind != "flag"):
        yield f"{place} is {data!r}, no {shape}"

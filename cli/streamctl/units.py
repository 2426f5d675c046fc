"""Quantities as settings take them and people read them."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))
_UNITS_BYTES = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def duration_text(duration_ms: int) -> str:
    """`7d`, `36h`, `1500ms`: in the largest unit of which there is a whole number."""
    return _in_units(duration_ms, _UNITS_MS, "ms")


def size_text(size_bytes: int) -> str:
    """`1GiB`, `1500B`: in the largest unit of which there is a whole number."""
    return _in_units(size_bytes, _UNITS_BYTES, "B")


def setting_text(name: str, value: str) -> str:
    """The canonical value of a setting, whose name ends in its unit, with a unit. -1 is no quantity."""
    if value.isdecimal() and name.endswith("_ms"):
        return duration_text(int(value))
    return size_text(int(value)) if value.isdecimal() and name.endswith("_bytes") else value


def _in_units(number: int, units: Sequence[tuple[str, int]], smallest: str) -> str:
    for unit, size in units:
        if number and number % size == 0:
            return f"{number // size}{unit}"
    return f"{number}{smallest}"

"""Durations as settings take them and people read them."""

from __future__ import annotations

_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


def duration_text(duration_ms: int) -> str:
    """`7d`, `36h`, `1500ms`: in the largest unit of which there is a whole number."""
    for unit, unit_ms in _UNITS_MS:
        if duration_ms and duration_ms % unit_ms == 0:
            return f"{duration_ms // unit_ms}{unit}"
    return f"{duration_ms}ms"

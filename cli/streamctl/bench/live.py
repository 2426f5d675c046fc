"""The line that tells how a benchmark goes while it goes: once a second, and only on a terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import click

from streamctl.output import is_colourful, terminal_width

_CLEAR_LINE = "\r\x1b[K"
_MIB = 1 << 20


@dataclass
class Progress:
    """What is done so far, and of how many records (0 = not known)."""

    records: int = 0
    size_bytes: int = 0
    total: int = 0


@asynccontextmanager
async def live_line(progress: Progress) -> AsyncIterator[None]:
    """Draw while the block runs; leaves nothing behind."""
    if not is_colourful(sys.stderr):
        yield
        return
    drawing = asyncio.create_task(_draw(progress))
    try:
        yield
    finally:
        drawing.cancel()
        click.echo(_CLEAR_LINE, nl=False, err=True)


async def _draw(progress: Progress) -> None:
    loop = asyncio.get_running_loop()
    most = terminal_width(sys.stderr)  # of a second line nothing would be cleared
    before, before_s = Progress(), loop.time()
    while True:
        await asyncio.sleep(1)
        now_s = loop.time()
        told = line(progress, before, now_s - before_s)[:most]
        click.echo(_CLEAR_LINE + told, nl=False, err=True)
        before, before_s = Progress(progress.records, progress.size_bytes), now_s


def line(now: Progress, before: Progress, seconds: float) -> str:
    """`1,234,567 records  98,765 records/s  9.4 MiB/s  12 %`"""
    rate = (now.records - before.records) / seconds
    mib_rate = (now.size_bytes - before.size_bytes) / _MIB / seconds
    share = f"  {now.records * 100 // now.total} %" if now.total else ""
    return f"{now.records:,} records  {rate:,.0f} records/s  {mib_rate:.1f} MiB/s{share}"

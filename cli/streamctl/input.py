"""Bytes from stdin or a file, as they come, without a thread that Ctrl-C could not end."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator

# What a file gives at a time; a pipe gives what is in it, 64 KiB at most by default.
CHUNK_BYTES = 1 << 20


def size_of(descriptor: int) -> int | None:
    """How much there is to read, in bytes; None if that is not known, as of a pipe."""
    status = os.fstat(descriptor)
    return status.st_size if stat.S_ISREG(status.st_mode) else None


async def read_chunks(descriptor: int) -> AsyncIterator[bytes]:
    """What can be read from an open descriptor, up to its end."""
    while True:
        await _readable(descriptor)
        chunk = os.read(descriptor, CHUNK_BYTES)
        if not chunk:
            return
        yield chunk


async def _readable(descriptor: int) -> None:
    """Wait in the event loop for pipes, terminals and sockets.

    Regular files cannot be waited for and need not be. Nothing is watched between two reads, so a pipe
    that is full while the cluster is busy costs nothing.
    """
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, readable.set)
    except PermissionError:
        await asyncio.sleep(0)
        return
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)

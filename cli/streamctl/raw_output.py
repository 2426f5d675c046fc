"""Bytes to stdout, without a write that Ctrl-C could not end: whoever reads them may have stopped reading."""

from __future__ import annotations

import asyncio
import os
import select
import sys

# What fits into a pipe that says it has room, so that no write has to wait for the rest.
PIECE_BYTES = select.PIPE_BUF


async def write_out(data: bytes) -> None:
    """Straight to stdout: what is written is seen at once, and a closed pipe is noticed.

    While there is no room the event loop runs on, so this can be cancelled; some of `data` is then written.
    """
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # no file, but something in memory, which always has room
        sys.stdout.buffer.write(data)
        return
    await write_to(descriptor, data)


async def write_to(descriptor: int, data: bytes) -> None:
    """As `write_out`, to an open descriptor."""
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    rest = memoryview(data)
    while rest:
        if not room.poll(0):
            await _writable(descriptor)
        rest = rest[os.write(descriptor, rest[:PIECE_BYTES]) :]


async def _writable(descriptor: int) -> None:
    """Of pipes, terminals and sockets; a regular file always has room, and cannot be waited for."""
    loop, writable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(descriptor, writable.set)
    try:
        await writable.wait()
    finally:
        loop.remove_writer(descriptor)

"""Keeps a harmless complaint of gRPC's out of users' logs.

All event loops of a process that use grpc.aio are told of every event by one socket. One of them reads what
woke them all; each other one finds nothing there, and asyncio logs "BlockingIOError: [Errno 11]" with a
traceback (grpc issue 25364, open since 2021). No event is lost by that: whoever reads hands it to the loop
that it is for. An application that uses grpc.aio, or this SDK, on a loop of its own beside that of
`streamkeep.blocking` would see it many times a second.
"""

from __future__ import annotations

import logging

_WHERE = "PollerCompletionQueue._handle_events"


def keep_quiet() -> None:
    """Have asyncio say nothing of this one complaint, on whichever loop. Again is once."""
    logging.getLogger("asyncio").addFilter(_is_worth_saying)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    is_empty_read = isinstance(record.exc_info, tuple) and record.exc_info[0] is BlockingIOError
    return not (is_empty_read and _WHERE in record.getMessage())

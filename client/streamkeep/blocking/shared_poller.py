"""Keeps harmless complaints of gRPC's out of users' logs.

All event loops of a process that use grpc.aio are told of every event by one socket. One of them reads what
woke them all, and hands each event to the loop it is for. Each other one finds nothing there, and asyncio
logs "BlockingIOError: [Errno 11]" with a traceback (grpc issue 25364, open since 2021). If an event is for a
loop that was closed meanwhile, it logs "RuntimeError: Event loop is closed". Nothing is lost by either. An
application that uses grpc.aio, or this SDK, on a loop of its own beside that of `streamkeep.blocking` would
see the first many times a second.
"""

from __future__ import annotations

import logging

_WHERE = "PollerCompletionQueue._handle_events"


def keep_quiet() -> None:
    """Have asyncio say nothing of these, on whichever loop. Again is once."""
    logging.getLogger("asyncio").addFilter(_is_worth_saying)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    if not isinstance(record.exc_info, tuple) or _WHERE not in record.getMessage():
        return True
    error = record.exc_info[1]
    return not (isinstance(error, BlockingIOError) or str(error) == "Event loop is closed")

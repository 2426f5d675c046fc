"""Keeps harmless complaints of gRPC's out of users' logs.

All event loops of a process that use grpc.aio are told of every event by one queue and one socket. One loop
reads what woke them all, and hands each event to the loop it is for. Any other finds nothing there, and
asyncio logs "BlockingIOError: [Errno 11]" with a traceback (grpc issue 25364, open since 2021): many times a
second, where an application has a loop of its own beside that of `streamkeep.blocking`.

If the loop that an event is for was closed meanwhile, "RuntimeError: Event loop is closed" is logged: by an
`asyncio.run` behind another one. To close channels in good order does not help: a call that was cancelled
still has an event or two to come, and grpc.aio has no way to wait for them. Nothing is lost by either.
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

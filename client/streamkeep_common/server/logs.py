"""Structured logs: one line an event on stderr, JSON for machines or text for people.

Everybody logs by the standard library's `logging`, so that events of our own and of libraries come out in the
same form; values given as `extra` get names of their own in the line. The only importer of structlog.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TextIO, cast

# structlog imports rich when it finds it, which costs a server 4 MiB and a third of its start: hide it.
if "rich" in sys.modules:
    import structlog
else:
    sys.modules["rich"] = cast(Any, None)
    import structlog

    del sys.modules["rich"]

from structlog.typing import EventDict, Processor, WrappedLogger


class LogFormat(Enum):
    JSON = "json"
    CONSOLE = "console"


def configure(
    *, level: str = "info", log_format: LogFormat = LogFormat.JSON, stream: TextIO | None = None
) -> None:
    """Send what is at `level` (debug, info, warning, error) or above to `stream` (stderr), nowhere else."""
    out = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
            processors=[
                _add_origin,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format, out),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _renderers(log_format: LogFormat, stream: TextIO) -> list[Processor]:
    if log_format is LogFormat.CONSOLE:
        return [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]


def _add_origin(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """When, how grave and where: first in the line, in this order."""
    record: logging.LogRecord = event["_record"]
    moment = datetime.fromtimestamp(record.created, UTC)
    origin: EventDict = {
        "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event.pop("event"),
    }
    origin.update(event)
    return origin

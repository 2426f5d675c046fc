"""Entries that every server's table has."""

from __future__ import annotations

from streamkeep_common.settings.types import Address, Choice, Integer, SettingType

Entry = tuple[str, SettingType, str | None, str]

MAX_PROCESS_ID = 2**31 - 1

METRICS_LISTEN: Entry = (
    "metrics_listen",
    Address(lowest_port=0, optional=True),
    "127.0.0.1:0",
    "Where Prometheus may scrape (port 0 = any free one, see the ready line); empty = nowhere.",
)
ADVERTISED: Entry = (
    "advertised",
    Address(optional=True),
    "",
    "The address that others are told to use; empty = the one that is listened on.",
)
LOG_LEVEL: Entry = (
    "log_level",
    Choice(("debug", "info", "warning", "error")),
    "info",
    "The least severe log lines that are written.",
)
LOG_FORMAT: Entry = (
    "log_format",
    Choice(("json", "console")),
    "json",
    "How log lines are written to standard error: for machines or for people.",
)


def process_id(doc: str) -> Entry:
    """The number of a process among its kind."""
    return ("id", Integer(1, MAX_PROCESS_ID), None, doc)

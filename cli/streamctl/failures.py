"""How a command fails: exit codes for scripts, one sentence with cause and next step for people.

Owns the way from an exception to an exit code. Commands raise `CommandError` or let the SDK's errors pass.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from streamkeep_common.errors import StreamkeepError


class ExitCode(IntEnum):
    """What a script can rely on."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNAVAILABLE = 4
    UNHEALTHY = 10
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """A command that did not do what it was asked; the message says why and what to do."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click declares it for the class; each failure has its own


_NOT_FOUND = ("UNKNOWN_TOPIC", "UNKNOWN_PARTITION", "UNKNOWN_BROKER")
_UNAVAILABLE = (
    "UNAVAILABLE",
    "TIMED_OUT",
    "DELIVERY_TIMEOUT",
    "LEADER_NOT_AVAILABLE",
    "NOT_ENOUGH_REPLICAS",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "OFFSET_NOT_AVAILABLE",
    "NOT_LEADER",
    "NOT_ACTIVE",
    "NO_QUORUM",
    "NOT_INITIALIZED",
    "SHUTTING_DOWN",
)
_USAGE = ("INVALID_TOPIC_NAME", "INVALID_PARTITION_COUNT", "UNKNOWN_SETTING", "INVALID_SETTING")


def exit_code_of(error_code: str) -> ExitCode:
    """The exit code for a name of ErrorCode."""
    if error_code in _NOT_FOUND:
        return ExitCode.NOT_FOUND
    if error_code in _UNAVAILABLE:
        return ExitCode.UNAVAILABLE
    return ExitCode.USAGE if error_code in _USAGE else ExitCode.FAILED


def exit_code_for(errors: Iterable[StreamkeepError]) -> ExitCode:
    """The exit code for the parts of a request that failed: theirs if they have the same, else 1."""
    from streamkeep_proto.v1.errors_pb2 import ErrorCode

    codes = {exit_code_of(ErrorCode.Name(error.code)) for error in errors}
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED


def as_command_error(error: Exception) -> CommandError:
    """The sentence and exit code for anything that a command let pass."""
    from streamkeep_common.errors import StreamkeepError
    from streamkeep_proto.v1.errors_pb2 import ErrorCode

    if isinstance(error, StreamkeepError):
        return CommandError(str(error), exit_code_of(ErrorCode.Name(error.code)))
    if isinstance(error, TimeoutError):
        return CommandError(str(error) or "not done within the time allowed", ExitCode.UNAVAILABLE)
    if isinstance(error, OSError):
        return CommandError(_os_error_text(error))
    kind = type(error).__name__
    return CommandError(
        f"unexpected {kind}: {error}; run it again with --debug for the traceback and report it"
    )


_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def is_write_error(error: Exception) -> bool:
    """Of stdout: any other file that could not be written is named."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _WRITE_ERRORS


def _os_error_text(error: OSError) -> str:
    reason = error.strerror or str(error)
    if is_write_error(error):
        return f"stdout cannot be written: {reason}"
    return f"{error.filename}: {reason}" if error.filename else reason


def joined(text: str, hint: str) -> str:
    """A sentence and what helps, which may be nothing; a question ends what is before it."""
    separator = " " if text.endswith("?") else "; "
    return f"{text}{separator}{hint}" if hint else text


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'flights'?`, or nothing if no name is near."""
    from difflib import get_close_matches

    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean '{matches[0]}'?" if matches else ""

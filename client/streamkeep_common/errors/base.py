"""Every error that Streamkeep reports, one class a code of errors.proto.

    StreamkeepError
    ├── one class a code        what went wrong with one topic, partition, batch, setting, disk, ...
    └── UnknownServerError      also stands for codes that a newer server may send

The sentence in `advice` tells the person who meets the error what to do. `retriable` says that the same
request, unchanged, may succeed later.
"""

from __future__ import annotations

from typing import ClassVar

from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.errors_pb2 import ErrorCode, LeaderHint


class StreamkeepError(Exception):
    """Base of all. `leader` is who leads the partition now, where the server knew better than the caller;
    `active_address` is the host:port of the active coordinator, where another one knew it ("" = it did not).
    """

    code: ClassVar[ErrorCode.ValueType] = errors_pb2.UNKNOWN_SERVER_ERROR
    retriable: ClassVar[bool] = False
    advice: ClassVar[str] = "Look for the story in the server's log."

    def __init__(
        self, message: str = "", *, leader: LeaderHint | None = None, active_address: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.leader = leader
        self.active_address = active_address

    def __str__(self) -> str:
        if not self.message:
            return self.advice
        stop = "" if self.message.endswith((".", "?", "!")) else "."
        return f"{self.message}{stop} {self.advice}"

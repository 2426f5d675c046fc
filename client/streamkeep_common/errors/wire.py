"""Errors on the wire: as they travel inside responses, and what a failure of a whole call means.

An error of the whole call (`RpcError`) becomes one of ours at the edge, by `from_rpc`, so that users never
meet the transport's own.
"""

from __future__ import annotations

from streamkeep_common.errors.base import (
    StreamkeepError,
)
from streamkeep_common.errors.cluster import (
    UnsupportedFeatureError,
)
from streamkeep_common.errors.items import (
    InvalidRequestError,
    TimedOutError,
    UnavailableError,
    UnknownServerError,
)
from streamkeep_common.seams.network import RpcError, Status
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.errors_pb2 import ErrorCode

BY_CODE: dict[ErrorCode.ValueType, type[StreamkeepError]] = {
    error.code: error for error in StreamkeepError.__subclasses__()
}

# What a failure of the whole call means. Statuses that are not here become UnknownServerError.
_BY_STATUS: dict[Status, type[StreamkeepError]] = {
    Status.CANCELLED: UnavailableError,
    Status.ABORTED: UnavailableError,
    Status.UNAVAILABLE: UnavailableError,
    Status.DEADLINE_EXCEEDED: TimedOutError,
    Status.INVALID_ARGUMENT: InvalidRequestError,
    Status.FAILED_PRECONDITION: InvalidRequestError,
    Status.OUT_OF_RANGE: InvalidRequestError,
    Status.RESOURCE_EXHAUSTED: InvalidRequestError,
    Status.UNIMPLEMENTED: UnsupportedFeatureError,
}


def to_proto(error: StreamkeepError) -> errors_pb2.Error:
    """The error as it travels inside a response, with the advice in its message."""
    return errors_pb2.Error(
        code=error.code, message=str(error), leader=error.leader, active_address=error.active_address
    )


def from_proto(error: errors_pb2.Error) -> StreamkeepError:
    """The exception for an error in a response; a code that is not known becomes UnknownServerError."""
    assert error.code != errors_pb2.NONE, "success is not an error"
    kind = BY_CODE.get(error.code, UnknownServerError)
    message = error.message.removesuffix(kind.advice).rstrip()
    leader = error.leader if error.HasField("leader") else None
    return kind(message, leader=leader, active_address=error.active_address)


def raise_if_error(error: errors_pb2.Error) -> None:
    """Raise what a response's error field says; nothing happens if it is absent or NONE."""
    if error.code != errors_pb2.NONE:
        raise from_proto(error)


def from_rpc(error: RpcError) -> StreamkeepError:
    """The exception for a call or stream that failed as a whole."""
    return _BY_STATUS.get(error.status, UnknownServerError)(error.detail)

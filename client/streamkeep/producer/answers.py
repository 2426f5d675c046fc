"""What a broker's answer about a batch asks the producer to do. Pure."""

from __future__ import annotations

from enum import Enum, auto

from streamkeep_common.errors import BY_CODE, UnknownServerError
from streamkeep_proto.v1 import errors_pb2 as codes
from streamkeep_proto.v1.errors_pb2 import ErrorCode


class Action(Enum):
    """The producer's next step for the batch."""

    DONE = auto()
    """It is stored; DUPLICATE_SEQUENCE only does not say where."""
    FIND_LEADER = auto()
    """Ask who leads, and send again there."""
    TRY_AGAIN = auto()
    """Send again to the same broker, a little later."""
    RENUMBER = auto()
    """A batch before it is missing: the sequencer decides."""
    SPLIT = auto()
    """Send it in halves, if it has more than one record."""
    GIVE_UP = auto()
    """It will never be taken."""


_BY_CODE: dict[ErrorCode.ValueType, Action] = {
    codes.NONE: Action.DONE,
    codes.DUPLICATE_SEQUENCE: Action.DONE,
    codes.NOT_LEADER: Action.FIND_LEADER,
    codes.FENCED_LEADER_EPOCH: Action.FIND_LEADER,
    codes.UNKNOWN_LEADER_EPOCH: Action.FIND_LEADER,
    codes.LEADER_NOT_AVAILABLE: Action.FIND_LEADER,
    codes.SHUTTING_DOWN: Action.FIND_LEADER,
    codes.STORAGE_FAILED: Action.FIND_LEADER,
    codes.DISK_FULL: Action.FIND_LEADER,
    codes.DISK_STALLED: Action.FIND_LEADER,
    # From a broker these may only mean that it has not heard of the topic yet, or not of its end.
    codes.UNKNOWN_TOPIC: Action.FIND_LEADER,
    codes.UNKNOWN_PARTITION: Action.FIND_LEADER,
    codes.OUT_OF_ORDER_SEQUENCE: Action.RENUMBER,
    codes.UNKNOWN_PRODUCER: Action.RENUMBER,
    codes.BATCH_TOO_LARGE: Action.SPLIT,
}


def action_for(code: ErrorCode.ValueType) -> Action:
    """The step for an answer's code."""
    known = _BY_CODE.get(code)
    if known is not None:
        return known
    return Action.TRY_AGAIN if BY_CODE.get(code, UnknownServerError).retriable else Action.GIVE_UP

"""What the SDK raises itself and no server sends."""

from __future__ import annotations

from typing import Literal

from streamkeep_common.errors.base import StreamkeepError
from streamkeep_common.errors.cluster import UnsupportedFeatureError
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.errors_pb2 import LeaderHint


class DeliveryTimeoutError(StreamkeepError):
    """The record may or may not be in the log."""

    code = errors_pb2.DELIVERY_TIMEOUT
    advice = "The record may be in the log or not: read the topic to know, or raise delivery_timeout_ms."


class ClosedError(StreamkeepError):
    code = errors_pb2.CLOSED
    advice = "Make a new client; a closed one cannot be used again."


class NotACoordinatorError(UnsupportedFeatureError):
    """Somebody answers there who does not know what coordinators know: most often it is a broker."""

    advice = "Give the address of a coordinator; brokers are found through it."


class BufferFullError(StreamkeepError):
    code = errors_pb2.BUFFER_FULL
    retriable = True
    advice = "Await send(), which waits for room, or raise buffer_bytes."


class CorruptDataError(StreamkeepError):
    """A consumer says where: `offset` is the first that cannot be read, and `next_offset`, if the damage left
    that much to be seen, the first behind it, where to seek to. Both are -1 if not known."""

    code = errors_pb2.CORRUPT_DATA
    advice = "Nothing of that batch was handed out: look at the broker's file with `streamctl log verify`."

    def __init__(
        self,
        message: str = "",
        *,
        leader: LeaderHint | None = None,
        active_address: str = "",
        topic: str = "",
        partition: int = -1,
        offset: int = -1,
        next_offset: int = -1,
    ) -> None:
        super().__init__(message, leader=leader, active_address=active_address)
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.next_offset = next_offset


class RecordDecodeError(StreamkeepError):
    """A serializer could not read what a record holds; its own error is the `__cause__`.

    `data` are the bytes of the `field` in question. The records before it were handed out, and the position
    is behind it: to catch the error and to read on steps over the record.
    """

    code = errors_pb2.RECORD_DECODE
    advice = "Read on, which steps over it, or read the topic with the serializer that it was written with."

    def __init__(
        self,
        message: str = "",
        *,
        leader: LeaderHint | None = None,
        active_address: str = "",
        topic: str = "",
        partition: int = -1,
        offset: int = -1,
        field: Literal["key", "value"] = "value",
        data: bytes = b"",
    ) -> None:
        super().__init__(message, leader=leader, active_address=active_address)
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.field = field
        self.data = data


class RecordEncodeError(StreamkeepError, ValueError):
    """A serializer could not write what a record was to hold; its own error is the `__cause__`.

    Nothing of the record was buffered; of a `send_many`, nothing of any: `index` is the record's among those.
    """

    code = errors_pb2.RECORD_ENCODE
    advice = "Give what the producer's serializer can write."

    def __init__(
        self,
        message: str = "",
        *,
        leader: LeaderHint | None = None,
        active_address: str = "",
        topic: str = "",
        field: Literal["key", "value"] = "value",
        index: int = 0,
    ) -> None:
        super().__init__(message, leader=leader, active_address=active_address)
        self.topic = topic
        self.field = field
        self.index = index

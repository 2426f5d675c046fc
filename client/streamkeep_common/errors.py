"""Every error that Streamkeep reports, one class a code of errors.proto.

    StreamkeepError
    ├── one class a code        what went wrong with one topic, partition, batch, setting, disk, ...
    └── UnknownServerError      also stands for codes that a newer server may send

The sentence in `advice` tells the person who meets the error what to do. `retriable` says that the same
request, unchanged, may succeed later. An error of the whole call (`RpcError`) becomes one of these at the
edge, by `from_rpc`, so that users never meet the transport's own.
"""

from __future__ import annotations

from typing import ClassVar

from streamkeep_common.seams.network import RpcError, Status
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


# --- any request ---


class UnknownServerError(StreamkeepError):
    code = errors_pb2.UNKNOWN_SERVER_ERROR


class InvalidRequestError(StreamkeepError):
    code = errors_pb2.INVALID_REQUEST
    advice = "The client breaks the protocol: use a client of the server's version, or report a bug."


class ShuttingDownError(StreamkeepError):
    code = errors_pb2.SHUTTING_DOWN
    retriable = True
    advice = "The server is stopping: ask the coordinators who leads now and try again."


class TimedOutError(StreamkeepError):
    """What was asked may still happen."""

    code = errors_pb2.TIMED_OUT
    retriable = True
    advice = "It may still happen: look before you repeat it, or allow more time."


class UnavailableError(StreamkeepError):
    code = errors_pb2.UNAVAILABLE
    retriable = True
    advice = "Check that the address is right, the server runs, and the network lets you through."


# --- topics and partitions ---


class UnknownTopicError(StreamkeepError):
    """From a broker it may only mean that its metadata are older than the caller's."""

    code = errors_pb2.UNKNOWN_TOPIC
    advice = "Check the spelling, or create the topic: topics are not created by use."


class UnknownPartitionError(StreamkeepError):
    """From a broker it may only mean that its metadata are older than the caller's."""

    code = errors_pb2.UNKNOWN_PARTITION
    advice = "Partitions are numbered from 0: describe the topic to see how many it has."


class TopicExistsError(StreamkeepError):
    code = errors_pb2.TOPIC_EXISTS
    advice = "Use the topic as it is, delete it first, or choose another name."


class InvalidTopicNameError(StreamkeepError):
    code = errors_pb2.INVALID_TOPIC_NAME
    advice = "Use 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-', but not '.' or '..' alone."


class InvalidPartitionCountError(StreamkeepError):
    code = errors_pb2.INVALID_PARTITION_COUNT
    advice = "Ask for at least 1 partition; the partitions of a topic can grow, never shrink."


class InvalidReplicationFactorError(StreamkeepError):
    code = errors_pb2.INVALID_REPLICATION_FACTOR
    advice = "Ask for at least 1 replica and for no more than there are live brokers."


class UnknownSettingError(StreamkeepError):
    code = errors_pb2.UNKNOWN_SETTING
    advice = "Every setting is listed in docs/settings.md."


class InvalidSettingError(StreamkeepError):
    code = errors_pb2.INVALID_SETTING
    advice = "What each setting takes is listed in docs/settings.md."


class NotLeaderError(StreamkeepError):
    code = errors_pb2.NOT_LEADER
    retriable = True
    advice = "Refresh the metadata and ask the partition's leader."


class FencedLeaderEpochError(StreamkeepError):
    code = errors_pb2.FENCED_LEADER_EPOCH
    retriable = True
    advice = "Refresh the metadata: the partition has a newer leader epoch."


class UnknownLeaderEpochError(StreamkeepError):
    code = errors_pb2.UNKNOWN_LEADER_EPOCH
    retriable = True
    advice = "The broker has not heard of that leader epoch yet: try again."


class LeaderNotAvailableError(StreamkeepError):
    code = errors_pb2.LEADER_NOT_AVAILABLE
    retriable = True
    advice = "No live replica may lead the partition: try again, and start its brokers if they are down."


# --- producing ---


class CorruptBatchError(StreamkeepError):
    code = errors_pb2.CORRUPT_BATCH
    retriable = True
    advice = "The bytes changed on the way: send the batch again, and suspect memory or network if it recurs."


class InvalidBatchError(StreamkeepError):
    code = errors_pb2.INVALID_BATCH
    advice = "The client that built the batch breaks the record format: use another version, or report a bug."


class BatchTooLargeError(StreamkeepError):
    code = errors_pb2.BATCH_TOO_LARGE
    advice = "Send smaller records or batches, or raise the topic's max_batch_bytes."


class UnknownCodecError(StreamkeepError):
    code = errors_pb2.UNKNOWN_CODEC
    advice = "Compress with none, gzip, snappy, lz4 or zstd."


class InvalidTimestampError(StreamkeepError):
    code = errors_pb2.INVALID_TIMESTAMP
    advice = (
        "Set the clock or the record's timestamp right, or change the topic's timestamp_before_max_ms, "
        "timestamp_after_max_ms or timestamp_type."
    )


class OutOfOrderSequenceError(StreamkeepError):
    code = errors_pb2.OUT_OF_ORDER_SEQUENCE
    retriable = True
    advice = "An earlier batch is missing: send again from the oldest batch that is not acknowledged."


class DuplicateSequenceError(StreamkeepError):
    """The record is in the log; only its offset is not known any more."""

    code = errors_pb2.DUPLICATE_SEQUENCE
    advice = "The batch was stored when it was first sent: count it as done."


class UnknownProducerError(StreamkeepError):
    code = errors_pb2.UNKNOWN_PRODUCER
    advice = "The broker has forgotten this producer: go on under a new producer epoch, from sequence 0."


class ProducerFencedError(StreamkeepError):
    code = errors_pb2.PRODUCER_FENCED
    advice = "A newer instance of this producer has taken over: close this one."


# --- reading ---


class OffsetOutOfRangeError(StreamkeepError):
    code = errors_pb2.OFFSET_OUT_OF_RANGE
    advice = "Read from an offset between the log start and the end, or choose a reset to earliest or latest."


class OffsetNotAvailableError(StreamkeepError):
    code = errors_pb2.OFFSET_NOT_AVAILABLE
    retriable = True
    advice = "The new leader will know its high watermark in a moment: try again."


class CorruptLogError(StreamkeepError):
    code = errors_pb2.CORRUPT_LOG
    advice = (
        "Keep the file, look at it with `streamctl log verify`, and replace the disk or restore the replica."
    )


# --- disks ---


class DiskFullError(StreamkeepError):
    code = errors_pb2.DISK_FULL
    retriable = True
    advice = "Free space or shorten retention; appends resume by themselves, and reads go on meanwhile."


class StorageFailedError(StreamkeepError):
    code = errors_pb2.STORAGE_FAILED
    retriable = True
    advice = "Look at the broker's log and the disk, then restart the broker with a good one."


class DiskStalledError(StreamkeepError):
    code = errors_pb2.DISK_STALLED
    retriable = True
    advice = "The disk takes too long to flush: look for what keeps it busy; appends resume when it answers."


# --- cluster ---


class NotActiveError(StreamkeepError):
    code = errors_pb2.NOT_ACTIVE
    retriable = True
    advice = "Ask the active coordinator."


class BrokerIdInUseError(StreamkeepError):
    code = errors_pb2.BROKER_ID_IN_USE
    advice = "Stop the other process, or start this broker with an id of its own."


class UnknownBrokerError(StreamkeepError):
    code = errors_pb2.UNKNOWN_BROKER
    advice = "Describe the cluster to see its brokers."


class StaleBrokerEpochError(StreamkeepError):
    code = errors_pb2.STALE_BROKER_EPOCH
    advice = "A newer start of this broker has registered: stop this one."


class ClusterMismatchError(StreamkeepError):
    code = errors_pb2.CLUSTER_MISMATCH
    advice = "Point the process at its own cluster, or give it an empty data directory to join this one."


class UnsupportedFeatureError(StreamkeepError):
    code = errors_pb2.UNSUPPORTED_FEATURE
    advice = "Upgrade this process to a version that knows the feature."


class NoQuorumError(StreamkeepError):
    code = errors_pb2.NO_QUORUM
    retriable = True
    advice = (
        "Start the coordinators that are down: more than half of them must reach each other "
        "(`streamctl quorum status`). Produce and fetch go on meanwhile."
    )


class WrongDirectoryError(StreamkeepError):
    code = errors_pb2.WRONG_DIRECTORY
    advice = "It is let in again by itself as a new member, if its old directory is not in use elsewhere."


class RemovedError(StreamkeepError):
    code = errors_pb2.REMOVED
    advice = "Stop it, or let it in again with `streamctl quorum add`."


class InvalidQuorumChangeError(StreamkeepError):
    code = errors_pb2.INVALID_QUORUM_CHANGE
    advice = "Look at `streamctl quorum status`; one member is added or removed at a time."


class NotInitializedError(StreamkeepError):
    code = errors_pb2.NOT_INITIALIZED
    retriable = True
    advice = (
        "Set initial_members on every coordinator, or make the cluster with `streamctl cluster init`; "
        "to join a cluster that exists, use `streamctl quorum add`."
    )


# --- raised by the SDK, never sent ---


class DeliveryTimeoutError(StreamkeepError):
    """The record may or may not be in the log."""

    code = errors_pb2.DELIVERY_TIMEOUT
    advice = "The record may be in the log or not: read the topic to know, or raise delivery_timeout_ms."


class ClosedError(StreamkeepError):
    code = errors_pb2.CLOSED
    advice = "Make a new client; a closed one cannot be used again."


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

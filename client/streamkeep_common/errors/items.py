"""What went wrong with a request or one of its items: a topic, partition, batch, offset or disk."""

from __future__ import annotations

from streamkeep_common.errors.base import StreamkeepError
from streamkeep_proto.v1 import errors_pb2

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
    advice = "A topic has 1 partition or more; their number can grow, never shrink."


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


class NotEnoughReplicasError(StreamkeepError):
    code = errors_pb2.NOT_ENOUGH_REPLICAS
    retriable = True
    advice = "Bring brokers back, or lower the topic's min_insync_replicas; reading goes on meanwhile."


class NotEnoughReplicasAfterAppendError(StreamkeepError):
    """The batch is in the leader's log; sent again, it is acknowledged once enough replicas have it."""

    code = errors_pb2.NOT_ENOUGH_REPLICAS_AFTER_APPEND
    retriable = True
    advice = "Bring brokers back; the batch, sent again, is acknowledged when enough replicas have it."


class StalePartitionEpochError(StreamkeepError):
    code = errors_pb2.STALE_PARTITION_EPOCH
    retriable = True
    advice = "Look at the partition as it is now, and propose again."


class IneligibleReplicaError(StreamkeepError):
    code = errors_pb2.INELIGIBLE_REPLICA
    retriable = True
    advice = "Propose it again when its broker is unfenced and follows under its current registration."


class ReplicaNotAvailableError(StreamkeepError):
    code = errors_pb2.REPLICA_NOT_AVAILABLE
    retriable = True
    advice = "Ask a broker that has a replica of the partition."


class InvalidReplicaAssignmentError(StreamkeepError):
    code = errors_pb2.INVALID_REPLICA_ASSIGNMENT
    advice = "Name brokers and directories of the cluster, each broker once."


class ReassignmentInProgressError(StreamkeepError):
    code = errors_pb2.REASSIGNMENT_IN_PROGRESS
    retriable = True
    advice = "Wait until it is done, or cancel it."


class NoReassignmentInProgressError(StreamkeepError):
    code = errors_pb2.NO_REASSIGNMENT_IN_PROGRESS
    advice = "There is nothing to cancel."


class ElectionNotNeededError(StreamkeepError):
    code = errors_pb2.ELECTION_NOT_NEEDED
    advice = "Nothing has to be done."


class EligibleLeadersNotAvailableError(StreamkeepError):
    code = errors_pb2.ELIGIBLE_LEADERS_NOT_AVAILABLE
    retriable = True
    advice = "Bring back a broker that has the partition's data, and wait until it is in sync."


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
    advice = (
        "The new leader knows its high watermark as soon as enough replicas are in sync: try again. "
        "What is below it can be read meanwhile."
    )


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

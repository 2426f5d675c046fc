"""What went wrong between the processes of a cluster."""

from __future__ import annotations

from streamkeep_common.errors.base import StreamkeepError
from streamkeep_proto.v1 import errors_pb2


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


class BrokerNotEmptyError(StreamkeepError):
    code = errors_pb2.BROKER_NOT_EMPTY
    advice = "Drain the broker, wait until it has no replicas, stop it, and remove it then."

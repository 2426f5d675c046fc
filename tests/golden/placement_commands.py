"""Commands of metadata scenarios about where replicas are: moves, and brokers on their way out.

Each gives the decision with the lines to write down as its answer.
"""

from __future__ import annotations

from collections.abc import Callable

from streamkeep_common.image import ClusterImage
from streamkeep_coordinator.metadata import Decision
from streamkeep_coordinator.metadata.drain import drain_broker, remove_broker
from streamkeep_coordinator.metadata.plans import reassign_partitions
from streamkeep_proto.v1.coordinator_pb2 import (
    CancelPlan,
    DrainBrokerRequest,
    EmptyBrokerPlan,
    ExplicitPlan,
    PartitionTarget,
    ReassignmentOutcome,
    ReassignPartitionsRequest,
    RemoveBrokerRequest,
    ReplicationFactorPlan,
    TopicPartitionName,
)
from streamkeep_proto.v1.errors_pb2 import ErrorCode

Options = dict[str, str]
Lines = tuple[str, ...]


def _move(image: ClusterImage, names: list[str], options: Options) -> Decision[Lines]:
    """`move t-0 1,2,3 [dirs=a1,-,b3]`"""
    topic, _, number = names[0].rpartition("-")
    directories = [
        b"" if each == "-" else _padded(each) for each in options.get("dirs", "").split(",") if each
    ]
    target = PartitionTarget(
        topic=topic,
        partition=int(number),
        replicas=[int(each) for each in names[1].split(",") if each != "-"],
        directory_ids=directories,
    )
    return _plan(image, ReassignPartitionsRequest(explicit=ExplicitPlan(partitions=[target])), options)


def _empty(image: ClusterImage, names: list[str], options: Options) -> Decision[Lines]:
    """`empty 1`"""
    plan = EmptyBrokerPlan(broker_id=int(names[0]))
    return _plan(image, ReassignPartitionsRequest(empty_broker=plan), options)


def _resize(image: ClusterImage, names: list[str], options: Options) -> Decision[Lines]:
    """`resize t 2`"""
    plan = ReplicationFactorPlan(topic=names[0], replication_factor=int(names[1]))
    return _plan(image, ReassignPartitionsRequest(replication_factor=plan), options)


def _cancel(image: ClusterImage, names: list[str], options: Options) -> Decision[Lines]:
    """`cancel [t-0 ...]`"""
    named = (name.rpartition("-") for name in names)
    plan = CancelPlan(partitions=[TopicPartitionName(topic=t, partition=int(n)) for t, _, n in named])
    return _plan(image, ReassignPartitionsRequest(cancel=plan), options)


def _plan(image: ClusterImage, request: ReassignPartitionsRequest, options: Options) -> Decision[Lines]:
    request.validate_only = options.get("validate_only") == "yes"
    decision = reassign_partitions(image, request)
    lines = tuple(_outcome(each) for each in decision.answer.outcomes)
    return Decision(decision.records, lines or ("nothing to do",))


def _outcome(outcome: ReassignmentOutcome) -> str:
    name = f"{outcome.topic}-{outcome.partition}"
    if outcome.HasField("error"):
        return f"{name} {ErrorCode.Name(outcome.error.code)}: {outcome.error.message}"
    before, after, copies = (
        ",".join(map(str, ids)) or "-" for ids in (outcome.from_replicas, outcome.to_replicas, outcome.copies)
    )
    return f"{name} from {before} to {after}, copied by {copies}"


def _drain(image: ClusterImage, names: list[str], options: Options) -> Decision[Lines]:
    """`drain 1` or `drain 1 off`"""
    request = DrainBrokerRequest(broker_id=int(names[0]), draining="off" not in names)
    decision = drain_broker(image, request)
    return Decision(decision.records, (f"{decision.answer.replicas} replicas",))


def _remove(image: ClusterImage, names: list[str], options: Options) -> Decision[Lines]:
    """`remove 1`"""
    decision = remove_broker(image, RemoveBrokerRequest(broker_id=int(names[0])))
    return Decision(decision.records, ("removed",))


def _padded(text: str) -> bytes:
    return text.encode().ljust(16, b".")


COMMANDS: dict[str, Callable[[ClusterImage, list[str], Options], Decision[Lines]]] = {
    "move": _move,
    "empty": _empty,
    "resize": _resize,
    "cancel": _cancel,
    "drain": _drain,
    "remove": _remove,
}

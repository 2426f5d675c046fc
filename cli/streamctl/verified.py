"""Replicas that were compared, as `partition verify` shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import Invocation
from streamctl.output import Table, counted, emit, note
from streamctl.partitions import id_list
from streamkeep import StreamkeepError
from streamkeep.admin.replicas import VerifiedPartition
from streamkeep.errors import (
    CorruptLogError,
    ReplicaNotAvailableError,
    UnknownPartitionError,
    UnknownTopicError,
)


def show_verified(invocation: Invocation, verified: Sequence[VerifiedPartition]) -> None:
    """A row a partition. CommandError, naming them, if replicas differ or could not be asked.

    What was wrong while the replicas were looked at is told, too: damage is mended meanwhile.
    """
    data = [_verified_fields(each) for each in verified]
    columns = ("TOPIC", "PARTITION", "FROM", "TO", "REPLICAS", "RESULT")
    rows = [
        (
            each.topic_partition.topic,
            each.topic_partition.partition,
            each.from_offset,
            each.to_offset,
            list(each.replicas),
            _result(each),
        )
        for each in verified
    ]
    emit(invocation, data, Table(columns, rows))
    if mended := [each for each in verified if each.wrong_before]:
        names = _names(mended, lambda each: each.wrong_before)
        note(
            f"Replicas were damaged or differed during this check, and are not wrong now: {names}. What is "
            "damaged is copied anew from others; the log of its broker names the file. Look at its disk."
        )
    if differing := [each for each in verified if each.differing]:
        raise CommandError(f"replicas differ: {_names(differing, lambda each: each.differing)}")
    if damaged := [each for each in verified if each.damaged]:
        names = _names(damaged, lambda each: each.damaged)
        raise CommandError(f"replicas are damaged, and are copied anew where others have the same: {names}")
    if silent := [each for each in verified if each.unanswered]:
        names = _names(silent, lambda each: each.unanswered)
        last = silent[-1].replicas[silent[-1].unanswered[-1]]
        raise CommandError(f"not all replicas could be compared: {names}: {last}", ExitCode.UNAVAILABLE)
    note(f"All replicas of {counted(len(verified), 'partition')} are identical.")


def _verified_fields(verified: VerifiedPartition) -> dict[str, object]:
    return {
        "topic": verified.topic_partition.topic,
        "partition": verified.topic_partition.partition,
        "from_offset": verified.from_offset,
        "to_offset": verified.to_offset,
        "identical": verified.identical,
        "differing": list(verified.differing),
        "wrong_before": list(verified.wrong_before),
        "replicas": [
            {"broker": broker, "error": answer.message or str(answer)}
            if isinstance(answer, StreamkeepError)
            else {"broker": broker, "sha256": answer.sha256.hex(), "size_bytes": answer.size_bytes}
            for broker, answer in verified.replicas.items()
        ],
    }


def _names(
    verified: Sequence[VerifiedPartition], brokers: Callable[[VerifiedPartition], Sequence[int]]
) -> str:
    return "; ".join(f"{each.topic_partition} on {id_list(brokers(each))}" for each in verified)


def _result(verified: VerifiedPartition) -> str:
    troubles = [f"{id_list(verified.differing)} differ"] if verified.differing else []
    for broker, answer in verified.replicas.items():
        if isinstance(answer, StreamkeepError):
            troubles.append(f"{broker} {_trouble(answer)}")
    before = verified.wrong_before
    past = (
        f"; {id_list(before)} {'was' if len(before) == 1 else 'were'} damaged or differed" if before else ""
    )
    return (", ".join(troubles) or "identical") + past


def _trouble(error: StreamkeepError) -> str:
    if isinstance(error, CorruptLogError):
        return "is damaged"
    if isinstance(error, UnknownTopicError | UnknownPartitionError):
        return "has no replica"
    if isinstance(error, ReplicaNotAvailableError):
        return "is not in sync"
    return "did not answer" if error.retriable else "cannot be compared"

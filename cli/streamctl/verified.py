"""Replicas that were compared, as `partition verify` shows them."""

from __future__ import annotations

from collections.abc import Sequence

from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import Invocation
from streamctl.output import Table, emit, note
from streamctl.partitions import id_list
from streamkeep import StreamkeepError
from streamkeep.admin.replicas import VerifiedPartition


def show_verified(invocation: Invocation, verified: Sequence[VerifiedPartition]) -> None:
    """A row a partition. CommandError, naming them, if replicas differ or could not be asked."""
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
    differing = [each for each in verified if each.differing]
    if differing:
        names = "; ".join(f"{each.topic_partition} on {id_list(each.differing)}" for each in differing)
        raise CommandError(f"replicas differ: {names}")
    silent = [each for each in verified if each.unanswered]
    if silent:
        names = "; ".join(f"{each.topic_partition} on {id_list(each.unanswered)}" for each in silent)
        raise CommandError(f"not all replicas could be compared: {names}", ExitCode.UNAVAILABLE)
    partitions = "1 partition" if len(verified) == 1 else f"{len(verified)} partitions"
    note(f"All replicas of {partitions} are identical.")


def _verified_fields(verified: VerifiedPartition) -> dict[str, object]:
    return {
        "topic": verified.topic_partition.topic,
        "partition": verified.topic_partition.partition,
        "from_offset": verified.from_offset,
        "to_offset": verified.to_offset,
        "identical": verified.identical,
        "differing": list(verified.differing),
        "replicas": [
            {"broker": broker, "error": answer.message or str(answer)}
            if isinstance(answer, StreamkeepError)
            else {"broker": broker, "sha256": answer.sha256.hex(), "size_bytes": answer.size_bytes}
            for broker, answer in verified.replicas.items()
        ],
    }


def _result(verified: VerifiedPartition) -> str:
    troubles = []
    if verified.differing:
        troubles.append(f"{id_list(verified.differing)} differ")
    if verified.unanswered:
        troubles.append(f"{id_list(verified.unanswered)} did not answer")
    return ", ".join(troubles) or "identical"

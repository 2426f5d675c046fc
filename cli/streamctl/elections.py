"""What became of elections that were asked for."""

from __future__ import annotations

from collections.abc import Sequence

from streamctl.failures import CommandError, exit_code_for
from streamctl.invocation import Invocation
from streamctl.output import Table, counted, emit, note
from streamkeep_common.errors import ElectionNotNeededError, from_proto
from streamkeep_proto.v1.coordinator_pb2 import ElectionOutcome


def show_elections(invocation: Invocation, outcomes: Sequence[ElectionOutcome], *, is_dry: bool) -> None:
    """A row a partition. CommandError if one that needs a leader got none."""
    errors = [from_proto(each.error) if each.HasField("error") else None for each in outcomes]
    data = [
        {
            "topic": each.topic,
            "partition": each.partition,
            "from_leader": each.from_leader or None,
            "to_leader": each.to_leader or None,
            "error": None if error is None else error.message,
        }
        for each, error in zip(outcomes, errors, strict=True)
    ]
    columns = ("TOPIC", "PARTITION", "FROM", "TO", "RESULT")
    done = "would be elected" if is_dry else "elected"
    rows = [(*list(item.values())[:4], item["error"] or done) for item in data]
    if data or invocation.is_data:
        emit(invocation, data, Table(columns, rows))
    note(f"{'Would elect' if is_dry else 'Elected'} {counted(errors.count(None), 'leader')}.")
    failed = [each for each in errors if each is not None and not isinstance(each, ElectionNotNeededError)]
    if failed:
        complaint = f"{len(failed)} of {counted(len(errors), 'partition')} got no leader: {failed[0]}"
        raise CommandError(complaint, exit_code_for(failed))

"""Topics that are to be deleted: what is asked before, and what is told afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from streamctl.failures import CommandError, exit_code_for
from streamctl.output import Table, counted
from streamkeep_common.errors import from_proto
from streamkeep_proto.v1.coordinator_pb2 import TopicListing, TopicOutcome

SHOWN = 10
"""As many names are in the question; a person who is asked about more looks at --dry-run."""


def deletion_question(doomed: Sequence[TopicListing]) -> str:
    partitions = counted(sum(topic.partitions for topic in doomed), "partition")
    if len(doomed) == 1:
        return f"Delete topic '{doomed[0].name}', {partitions} with all records?"
    names = ", ".join(topic.name for topic in doomed[:SHOWN])
    more = f" and {len(doomed) - SHOWN} more" if len(doomed) > SHOWN else ""
    return f"Delete {len(doomed)} topics, {partitions} with all records: {names}{more}?"


def doomed_table(doomed: Sequence[TopicListing]) -> Table:
    return Table(("TOPIC", "PARTITIONS"), [(topic.name, topic.partitions) for topic in doomed])


def check_deleted(outcomes: Sequence[TopicOutcome]) -> None:
    """CommandError if any could not be deleted; the others are."""
    failed = [outcome for outcome in outcomes if outcome.HasField("error")]
    if not failed:
        return
    errors = [from_proto(outcome.error) for outcome in failed]
    if len(outcomes) == 1:
        raise errors[0]
    raise CommandError(
        f"{len(failed)} of {len(outcomes)} topics are still there; {failed[0].name}: {errors[0]}",
        exit_code_for(errors),
    )

"""Records that are to be deleted: which, before anything is done, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from streamctl.failures import CommandError, ExitCode
from streamctl.output import Table
from streamctl.partition_offsets import check_offsets, find_offsets, known_offsets, named_partitions
from streamctl.records.offset_grammar import Position
from streamkeep import StreamkeepError, TopicPartition

if TYPE_CHECKING:
    from streamctl.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Deletion:
    """The records of one partition from `from_offset` up to, not including, `before_offset`."""

    topic_partition: TopicPartition
    from_offset: int
    before_offset: int

    @property
    def records(self) -> int:
        return self.before_offset - self.from_offset

    def fields(self) -> dict[str, object]:
        return {
            "topic": self.topic_partition.topic,
            "partition": self.topic_partition.partition,
            "from_offset": self.from_offset,
            "before_offset": self.before_offset,
            "records": self.records,
        }


async def plan_deletions(cluster: Cluster, names: Sequence[str], before: Position) -> list[Deletion]:
    """What a position means in each partition now. CommandError if it lies behind the end of one."""
    wanted = await named_partitions(cluster, names)
    found = known_offsets(await find_offsets(cluster, wanted, before))
    planned = []
    for each, offsets in found.items():
        until = offsets.resolve(before)
        if until > offsets.latest:
            raise CommandError(
                f"{each.topic}:{each.partition} ends at offset {offsets.latest}: there is nothing up to"
                f" {until} to delete; `--before end` deletes what there is",
                ExitCode.USAGE,
            )
        planned.append(Deletion(each, offsets.earliest, max(until, offsets.earliest)))
    return planned


async def carry_out(cluster: Cluster, planned: Sequence[Deletion]) -> list[Deletion]:
    """With where each log begins now. CommandError, naming the first, if any partition refused."""
    wanted = [each for each in planned if each.records]
    told = await cluster.admin.delete_records({each.topic_partition: each.before_offset for each in wanted})
    check_offsets(told)
    starts = {
        each: answer.log_start_offset
        for each, answer in told.items()
        if not isinstance(answer, StreamkeepError)
    }
    return [
        replace(each, before_offset=starts.get(each.topic_partition, each.before_offset)) for each in planned
    ]


def deletions_table(deletions: Sequence[Deletion]) -> Table:
    columns = ("TOPIC", "PARTITION", "FROM", "BEFORE", "RECORDS")
    return Table(
        columns,
        [(*each.topic_partition, each.from_offset, each.before_offset, each.records) for each in deletions],
    )

"""Where partitions begin and end, and where a time is in them, for commands about offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamctl.failures import CommandError, ExitCode, exit_code_for
from streamctl.partitions import parse_partition
from streamctl.records.offset_grammar import Kind, Position, resolve
from streamctl.topic_names import is_pattern, listed, matching
from streamkeep import StreamkeepError, TopicPartition
from streamkeep.offsets import AtTime

if TYPE_CHECKING:
    from streamctl.cluster import Cluster
    from streamkeep_proto.v1.broker_pb2 import ListedOffset


@dataclass(frozen=True, slots=True)
class PartitionOffsets:
    """`at_offset` and `at_ms`: the first record at or after the time that was asked for, None if there is no
    such record, or no time was asked for."""

    earliest: int
    latest: int
    at_offset: int | None = None
    at_ms: int | None = None

    def resolve(self, position: Position) -> int:
        """The offset of a position, whatever it is counted from."""
        return resolve(position, log_start=self.earliest, end=self.latest, time_offset=self.at_offset)


async def named_partitions(cluster: Cluster, names: Sequence[str]) -> list[TopicPartition]:
    """TOPIC, PATTERN and TOPIC:PARTITION, each partition once; all if nothing is named. CommandError for
    what does not exist."""
    topics = {topic.name: topic.partitions for topic in await listed(cluster, ())}
    if not names:
        return [TopicPartition(name, number) for name, count in topics.items() for number in range(count)]
    found: dict[TopicPartition, None] = {}
    for name in names:
        if ":" in name and not is_pattern(name):
            topic, number = parse_partition(name)
            matching([topic], list(topics))
            if number >= topics[topic]:
                has = f"it has 0 to {topics[topic] - 1}"
                raise CommandError(f"topic '{topic}' has no partition {number}: {has}", ExitCode.NOT_FOUND)
            found[TopicPartition(topic, number)] = None
            continue
        for topic in matching([name], list(topics)):
            found |= dict.fromkeys(TopicPartition(topic, number) for number in range(topics[topic]))
    return list(found)


async def find_offsets(
    cluster: Cluster, partitions: Iterable[TopicPartition], *positions: Position | None
) -> dict[TopicPartition, PartitionOffsets | StreamkeepError]:
    """Of each partition, or why its leader does not tell. Of the positions one at most may be a time."""
    wanted = list(partitions)
    times = [each.value for each in positions if each is not None and each.kind is Kind.TIME]
    assert len(times) <= 1
    admin = cluster.admin
    earliest, latest, at = await asyncio.gather(
        admin.list_offsets(dict.fromkeys(wanted, "earliest")),
        admin.list_offsets(dict.fromkeys(wanted, "latest")),
        admin.list_offsets({each: AtTime(times[0]) for each in wanted} if times else {}),
    )
    return {each: _offsets(earliest[each], latest[each], at.get(each)) for each in wanted}


def _offsets(
    earliest: ListedOffset | StreamkeepError,
    latest: ListedOffset | StreamkeepError,
    at: ListedOffset | StreamkeepError | None,
) -> PartitionOffsets | StreamkeepError:
    for each in (earliest, latest, at):
        if isinstance(each, StreamkeepError):
            return each
    assert not isinstance(earliest, StreamkeepError) and not isinstance(latest, StreamkeepError)
    if at is None or isinstance(at, StreamkeepError) or at.offset < 0:
        return PartitionOffsets(earliest.offset, latest.offset)
    return PartitionOffsets(earliest.offset, latest.offset, at.offset, at.timestamp_ms)


def known_offsets(
    found: Mapping[TopicPartition, PartitionOffsets | StreamkeepError],
) -> dict[TopicPartition, PartitionOffsets]:
    """CommandError, naming the first, if any partition's are not known."""
    check_offsets(found)
    return {each: offsets for each, offsets in found.items() if isinstance(offsets, PartitionOffsets)}


def check_offsets(found: Mapping[TopicPartition, object]) -> None:
    """CommandError, naming the first, if the outcome of any partition is an error."""
    failed = {each: error for each, error in found.items() if isinstance(error, StreamkeepError)}
    if failed:
        (topic, partition), error = next(iter(failed.items()))
        raise CommandError(
            f"{len(failed)} of {len(found)} partitions gave no answer; {topic}:{partition}: {error}",
            exit_code_for(failed.values()),
        )

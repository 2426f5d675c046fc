"""`make metadata-scale`: what the metadata machine costs at 10,000 and 200,000 partitions of three replicas.

A pause is the longest stretch for which the event loop would be held up: the machine is synchronous, so its
callers let others run between the pieces that are timed here. Times are those of the processor, since a
quiet machine is rare; nothing here waits for anything.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

from streamkeep_common.image import ClusterImage, SnapshotBuilder, apply, difference, to_records
from streamkeep_coordinator.metadata import brokers, create
from streamkeep_coordinator.metadata.cluster import found_cluster
from streamkeep_coordinator.metadata.registration import register_broker
from streamkeep_proto.v1.coordinator_pb2 import CreateTopicsRequest, NewTopic, RegisterBroker
from streamkeep_proto.v1.metadata_pb2 import (
    MetadataEntry,
    MetadataRecord,
    MetadataSnapshot,
    QuorumMember,
    QuorumRecord,
)
from tests.bench.metadata_records import STREAMS, partition_record, topic_record

REPLICAS = 3
RECORDS = 2_000
WRITE_RECORDS = 1_000
LOAD_RECORDS = 250


class Shape(NamedTuple):
    """How many topics of how many partitions."""

    topics: int
    partitions: int

    def __str__(self) -> str:
        return f"{self.topics:,} topics x {self.partitions:,}"


SHAPES = (Shape(100, 100), Shape(2_000, 100), Shape(20_000, 10))


class Stretches:
    """Durations of pieces of work, in seconds."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self.longest_s = 0.0

    @contextmanager
    def one(self) -> Iterator[None]:
        started = time.process_time()
        yield
        took = time.process_time() - started
        self.total_s += took
        self.longest_s = max(self.longest_s, took)


def main() -> None:
    """Each shape in a process of its own, so that its memory is what it takes."""
    if len(sys.argv) > 1:
        report(Shape(*map(int, sys.argv[1:])))
        return
    for shape in SHAPES:
        subprocess.run([sys.executable, "-m", "tests.bench.metadata_scale", *map(str, shape)], check=True)


def report(shape: Shape) -> None:
    print(f"\n{shape} partitions of {REPLICAS} replicas on 3 brokers")
    before = resident_bytes()
    image = build(shape)
    print(f"  image                {(resident_bytes() - before) / 2**20:8.1f} MiB resident")
    report_rates(image)
    report_snapshot(image)
    report_commands(image)


def build(shape: Shape) -> ClusterImage:
    image = new_cluster()
    for topic in range(shape.topics):
        records = [topic_record(topic)]
        records += [partition_record(topic, number) for number in range(shape.partitions)]
        image, _ = apply(image, records, image.index + 1)
    gc.collect()
    gc.freeze()  # as a server process does when it has started
    return image


def new_cluster() -> ClusterImage:
    member = QuorumMember(
        coordinator_id=1, directory_id=bytes(16), voter=True, min_feature_level=1, max_feature_level=3
    )
    founded = found_cluster("A" * 22, QuorumRecord(cluster_epoch=1, members=[member]))
    image = committed(ClusterImage(), founded.records)
    for broker_id in (1, 2, 3):
        request = RegisterBroker(
            broker_id=broker_id,
            incarnation_id=bytes(16),
            address=f"host-{broker_id}:7201",
            directory_ids=[broker_id.to_bytes(16, "big")],
            min_feature_level=1,
            max_feature_level=3,
        )
        image = committed(image, register_broker(image, request).records)
        image = committed(image, brokers.unfence_broker(image, broker_id, 1).records)
    return image


def report_rates(image: ClusterImage) -> None:
    """Records applied each second, with their deltas: one in an entry, and all in one."""
    for kind, stream in STREAMS.items():
        records = list(islice(stream(image), RECORDS))
        single = rate(image, [[record] for record in records])
        together = rate(image, [records])
        print(
            f"  {kind:20} {single:10,.0f} records/s one an entry {together:12,.0f} {len(records):,} an entry"
        )


def rate(image: ClusterImage, entries: list[list[MetadataRecord]]) -> float:
    count = sum(map(len, entries))
    started = time.process_time()
    for records in entries:
        image, _ = apply(image, records, image.index + 1)
    return count / (time.process_time() - started)


def report_snapshot(image: ClusterImage) -> None:
    write, load = Stretches(), Stretches()
    chunks = list(written(image, write))
    print(f"  snapshot             {sum(map(len, chunks)) / 2**20:8.1f} MiB")
    show("  snapshot written", write)
    loaded = load_all(chunks, ClusterImage(), image.index, load)
    assert loaded == image
    show("  snapshot loaded", load)
    again = Stretches()
    shared = load_all(chunks, image, image.index, again)
    show("  ... beside the same", again)
    for name, one, other in (("all new", ClusterImage(), loaded), ("nothing new", image, shared)):
        with (stretch := Stretches()).one():
            difference(one, other)
        show(f"  difference, {name}", stretch)


def written(image: ClusterImage, write: Stretches) -> Iterator[bytes]:
    records = to_records(image)
    while True:
        with write.one():
            chunk = list(islice(records, WRITE_RECORDS))
            data = MetadataSnapshot(index=image.index, records=chunk).SerializeToString()
        if not chunk:
            return
        yield data


def load_all(chunks: Iterable[bytes], similar: ClusterImage, index: int, load: Stretches) -> ClusterImage:
    builder = SnapshotBuilder(similar)
    for chunk in chunks:
        with load.one():
            records = MetadataSnapshot.FromString(chunk).records
        for at in range(0, len(records), LOAD_RECORDS):
            with load.one():
                builder.add(records[at : at + LOAD_RECORDS])
    with load.one():
        return builder.finish(index)


def report_commands(image: ClusterImage) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(create, "MAX_PARTITIONS_PER_CLUSTER", 10**6)
        timed("create, 1,000 parts", image, create_large_topic)
    timed("fence a broker", image, lambda image: brokers.fence_broker(image, 1, 1).records)


def create_large_topic(image: ClusterImage) -> tuple[MetadataRecord, ...]:
    request = CreateTopicsRequest(topics=[NewTopic(name="large", partitions=1_000)])
    defaults = create.TopicDefaults()
    return create.create_topics(image, request, topic_ids=[b"L" * 16], defaults=defaults).records


def timed(
    name: str, image: ClusterImage, command: Callable[[ClusterImage], tuple[MetadataRecord, ...]]
) -> None:
    decide, commit = Stretches(), Stretches()
    with decide.one():
        records = command(image)
    with commit.one():
        committed(image, records)
    size = MetadataEntry(records=records).ByteSize()
    print(
        f"  {name:20} {decide.total_s * 1000:8.1f} ms to decide, {commit.total_s * 1000:8.1f} ms to apply, "
        f"{size / 1024:,.0f} KiB"
    )


def committed(image: ClusterImage, records: Iterable[MetadataRecord]) -> ClusterImage:
    after, _ = apply(image, records, image.index + 1)
    return after


def show(name: str, stretches: Stretches) -> None:
    print(f"{name:22} {stretches.total_s:8.2f} s, longest pause {stretches.longest_s * 1000:6.1f} ms")


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()

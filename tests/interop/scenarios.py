"""What is done with the cluster, writer by writer, and what was seen."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from google.protobuf import json_format

from streamkeep import Admin, Producer
from streamkeep_proto.v1.broker_pb2 import FetchResponse
from streamkeep_proto.v1.records_pb2 import RecordBatch, Records
from tests.integration.cluster import Cluster
from tests.integration.server_process import ServerProcess
from tests.interop.clients import (
    ForeignReader,
    ForeignWriter,
    PythonWriter,
    Writer,
    read_with_sdk,
    run_grpcurl,
)
from tests.interop.records import PARTITIONS, Record, differences, expected, flights
from tests.interop.toolchains import HERE, Programs

# What a program can write; all read all five.
CODECS = {"go": "none,gzip,snappy,lz4,zstd", "node": "none,gzip,snappy,lz4"}
ENDS = {"python": "killed", "go": "stopped", "node": "killed"}
"""What happens to a leader in the middle of it: kill -9, or an orderly end, which clients are told of."""
VECTOR = (
    Record(0, 1_357_000_000_000, b"k", b"hello"),
    Record(0, 1_357_000_000_005, None, b"world"),
)
"""The batch of the test vector in records.proto, which the grpcurl script sends."""
PLAIN = (Record(0, 1_357_000_000_006, b"key", b"from the SDK"), Record(0, 1_357_000_000_006, b"other", None))


@dataclass(slots=True)
class Row:
    """Who wrote, who read, and what was not the same."""

    writer: str
    reader: str
    records: int
    differences: list[str]
    notes: str = ""


class Interop:
    """The cluster, and what every scenario needs."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self._cluster = Cluster(folder, coordinators=3, brokers=3)
        self._programs = {"go": programs.go, "node": programs.node}
        self._grpcurl = programs.grpcurl
        self._records = flights()
        self._wanted = expected(self._records)
        self._bootstrap = ""

    async def __aenter__(self) -> Self:
        await self._cluster.__aenter__()
        async with Admin(self._cluster.bootstrap) as admin:
            quorum = (await admin.describe_cluster()).coordinators
        # The active one last: who wants something changed is sent there by another.
        self._bootstrap = ",".join(each.address for each in sorted(quorum, key=lambda each: each.active))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._cluster.close()

    async def rows_of(self, writer: str) -> list[Row]:
        """All that comes of this writer."""
        return await (self._by_hand() if writer == "grpcurl" else self._through_a_kill(writer))

    # --- the flights ---

    async def _through_a_kill(self, writer: str) -> list[Row]:
        topic = f"flights-{writer}"
        await self._create(writer, topic)
        count = len(self._records)
        readers = {
            name: ForeignReader(program, self._bootstrap, topic, count)
            for name, program in self._programs.items()
        }
        async with asyncio.TaskGroup() as group:
            reading = {name: group.create_task(reader.read()) for name, reader in readers.items()}
            writing = group.create_task(self._write(writer, topic))
        found = {"python": await read_with_sdk(self._bootstrap, topic)}
        found |= {name: task.result() for name, task in reading.items()}
        told = writing.result()
        rows = []
        for name, partitions in found.items():
            differ = differences(self._wanted, partitions)
            notes = (
                told
                if name == "python"
                else f"{name} was sent to leaders {readers[name].told['hints']} times"
            )
            rows.append(Row(writer, name, sum(map(len, partitions)), differ, notes))
        await self._mend(topic)
        return rows

    async def _create(self, writer: str, topic: str) -> None:
        if writer == "python":
            async with Admin(self._bootstrap) as admin:
                await admin.create_topic(topic, partitions=PARTITIONS)
            return
        command = (
            "create",
            "--bootstrap",
            self._bootstrap,
            "--topic",
            topic,
            "--partitions",
            str(PARTITIONS),
        )
        process = await asyncio.create_subprocess_exec(*self._programs[writer], *command)
        assert await process.wait() == 0, f"{writer} could not create {topic}"

    async def _write(self, name: str, topic: str) -> str:
        """Half of it; and while the other half is written, the leader of the first partition goes."""
        writer = self._writer(name, topic)
        half = len(self._records) // 2
        try:
            await writer.write(self._records[:half], lambda: None)
            leader = await self._leader(topic)
            ending: list[asyncio.Task[None]] = []

            def strike() -> None:
                if not ending:
                    broker = self._cluster.brokers[leader]
                    ending.append(asyncio.create_task(self._end(broker, ENDS[name])))

            await writer.write(self._records[half:], strike)
            await asyncio.gather(*ending)
            told = await writer.close()
        finally:
            writer.kill()
        notes = "".join(f", {number} {what}" for what, number in told.items() if what != "acked")
        return f"broker {leader} {ENDS[name]}{notes}"

    async def _end(self, broker: ServerProcess, how: str) -> None:
        await (broker.kill() if how == "killed" else self._stop(broker))

    async def _stop(self, broker: ServerProcess) -> None:
        status = await broker.stop()
        assert status == 0, f"{broker.name} ended with {status}"

    def _writer(self, name: str, topic: str) -> Writer:
        if name == "python":
            return PythonWriter(self._bootstrap, topic)
        return ForeignWriter(self._programs[name], self._bootstrap, topic, CODECS[name])

    async def _leader(self, topic: str) -> int:
        async with Admin(self._bootstrap) as admin:
            return (await admin.describe_topic(topic)).partitions[0].leader

    async def _mend(self, topic: str) -> None:
        """Bring back who was killed, and wait until everybody is in sync."""
        for broker in self._cluster.brokers.values():
            if not broker.is_running():
                await self._cluster.start(broker)
        async with Admin(self._bootstrap) as admin:
            await admin.wait_until_in_sync(topic)

    # --- by hand ---

    async def _by_hand(self) -> list[Row]:
        """One batch in by grpcurl, one by the SDK; both out by either."""
        topic = "by-hand"
        script = HERE / "grpcurl" / "interop.sh"
        coordinator = self._bootstrap.split(",")[0]
        await run_grpcurl(script, self._grpcurl, "create", coordinator, topic)
        await run_grpcurl(script, self._grpcurl, "produce", coordinator, topic)
        async with Producer(self._bootstrap) as producer:
            for record in PLAIN:
                await producer.send(topic, record.value, key=record.key, timestamp_ms=record.timestamp_ms)
        told = await run_grpcurl(script, self._grpcurl, "consume", coordinator, topic)
        wanted = [[*VECTOR, *PLAIN]]
        by_sdk = (await read_with_sdk(self._bootstrap, topic))[:1]
        by_hand = [[each for batch in _batches(told) for each in _opened(batch)]]
        note = "a batch sent twice is stored once"
        return [
            Row("grpcurl", "python", len(by_sdk[0]), differences(wanted, by_sdk), note),
            Row("python", "grpcurl", len(by_hand[0]), differences(wanted, by_hand)),
        ]


def _batches(told: str) -> list[RecordBatch]:
    """The batches of the responses, which stand one after the other."""
    decoder, batches, at = json.JSONDecoder(), [], 0
    while at < len(told):
        item, end = decoder.raw_decode(told, at)
        at = end + len(told[end:]) - len(told[end:].lstrip())
        response = json_format.ParseDict(item, FetchResponse())
        batches += [batch for fetched in response.partitions for batch in fetched.data.batches]
    return batches


def _opened(batch: RecordBatch) -> list[tuple[int, Record]]:
    """Opened here by hand, too: neither batch is compressed."""
    columns = Records.FromString(batch.records)
    return [
        (
            batch.base_offset + index,
            Record(
                0,
                batch.base_timestamp_ms
                + (columns.timestamp_deltas[index] if columns.timestamp_deltas else 0),
                None if index in columns.null_keys else columns.keys[index],
                None if index in columns.null_values else value,
            ),
        )
        for index, value in enumerate(columns.values)
    ]

"""Clients of three kinds behind one face: who writes takes records and says how many are acknowledged; who
reads gives what each partition holds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from streamkeep import Consumer, Producer
from tests.interop.records import PARTITIONS, Record, from_item, to_line

Found = list[list[tuple[int, Record]]]
Codec = Literal["none", "gzip", "snappy", "lz4", "zstd"]
_LINE_LIMIT_BYTES = 4 * 1024 * 1024
_CODECS: tuple[Codec, ...] = ("none", "gzip", "snappy", "lz4", "zstd")


class ClientFailedError(Exception):
    """A client of another language ended with an error; what it said last."""


class Writer(Protocol):
    """Writes to one topic."""

    async def write(self, records: Sequence[Record], acknowledged: Callable[[], None]) -> None:
        """Send them all. `acknowledged` is called at each sign of progress; returns when all are stored."""
        ...

    async def close(self) -> dict[str, int]:
        """Ends it; what it has to tell of the way."""
        ...

    def kill(self) -> None:
        """Whatever it does now; nothing happens after `close`."""
        ...


class PythonWriter:
    """The SDK, with each codec in turn: a producer has one, so a fifth of the records goes through each."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic

    async def write(self, records: Sequence[Record], acknowledged: Callable[[], None]) -> None:
        share = len(records) // len(_CODECS) + 1
        for number, codec in enumerate(_CODECS):
            mine = records[number * share : (number + 1) * share]
            async with Producer(self._bootstrap, compression=codec, batch_bytes=65_536) as producer:
                deliveries = [await self._send(producer, record) for record in mine]
                for delivery in deliveries:
                    await delivery
                    acknowledged()

    async def close(self) -> dict[str, int]:
        return {}

    def kill(self) -> None:
        return  # each of its producers was closed by the block that opened it

    async def _send(self, producer: Producer, record: Record) -> Any:
        return await producer.send(
            self._topic,
            record.value,
            key=record.key,
            headers=record.headers,
            timestamp_ms=record.timestamp_ms,
            partition=record.partition,
        )


class ForeignClient:
    """A program of another language: records and results are lines on its standard input and output."""

    def __init__(self, program: Sequence[str], *arguments: str) -> None:
        self._command = (*program, *arguments)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT_BYTES,
        )
        return self._process

    async def line(self) -> dict[str, Any]:
        """The next. ClientFailedError if there is none."""
        assert self._process is not None and self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            await self.finish()
            raise ClientFailedError(f"{self._command[0]} ended before it had done all")
        item: dict[str, Any] = json.loads(line)
        return item

    async def finish(self) -> None:
        """Wait for its end. ClientFailedError unless it is a good one."""
        assert self._process is not None and self._process.stderr is not None
        said = await self._process.stderr.read()
        if await self._process.wait():
            raise ClientFailedError(f"{' '.join(self._command)}: {said.decode().strip()}")

    def kill(self) -> None:
        """Whatever it does now."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


class ForeignWriter:
    """The produce half of a client in another language. It believes at first that the wrong brokers lead."""

    def __init__(self, program: Sequence[str], bootstrap: str, topic: str, codecs: str) -> None:
        where = ("--bootstrap", bootstrap, "--topic", topic)
        self._client = ForeignClient(program, "produce", *where, "--codecs", codecs, "--misroute")
        self._stdin: asyncio.StreamWriter | None = None
        self._sent = 0

    async def write(self, records: Sequence[Record], acknowledged: Callable[[], None]) -> None:
        if self._stdin is None:
            self._stdin = (await self._client.start()).stdin
        self._sent += len(records)
        feeding = asyncio.create_task(self._feed(records))
        try:
            acked = 0
            while acked < self._sent:
                acked = (await self._client.line())["acked"]
                acknowledged()
            await feeding
        finally:
            feeding.cancel()

    async def close(self) -> dict[str, int]:
        assert self._stdin is not None
        self._stdin.close()
        told = await self._client.line()
        await self._client.finish()
        return told

    def kill(self) -> None:
        self._client.kill()

    async def _feed(self, records: Sequence[Record]) -> None:
        assert self._stdin is not None
        for record in records:
            self._stdin.write(to_line(record))
            await self._stdin.drain()


class ForeignReader:
    """The consume half: reads along while others write, until it has seen `count` records."""

    def __init__(self, program: Sequence[str], bootstrap: str, topic: str, count: int) -> None:
        where = ("--bootstrap", bootstrap, "--topic", topic)
        self._client = ForeignClient(program, "consume", *where, "--count", str(count), "--misroute")
        self._count = count
        self.told: dict[str, int] = {}

    async def read(self) -> Found:
        """All of them, by partition."""
        await self._client.start()
        found: Found = [[] for _ in range(PARTITIONS)]
        try:
            for _ in range(self._count):
                offset, record = from_item(await self._client.line())
                assert record.partition is not None
                found[record.partition].append((offset, record))
            self.told = await self._client.line()
            await self._client.finish()
        finally:
            self._client.kill()
        return found


async def read_with_sdk(bootstrap: str, topic: str) -> Found:
    """All that the topic holds now."""
    found: Found = [[] for _ in range(PARTITIONS)]
    async with Consumer(bootstrap) as consumer:
        partitions = await consumer.partitions_for(topic)
        ends = await consumer.end_offsets(partitions)
        await consumer.assign(partitions, start="earliest")
        async for record in consumer.records(until=ends):
            headers = tuple((name, value) for name, value in record.headers)
            read = Record(record.partition, record.timestamp_ms, record.key, record.value, headers)
            found[record.partition].append((record.offset, read))
    return found


async def run_grpcurl(script: Path, grpcurl: Path, *arguments: str) -> str:
    """What the script says. ClientFailedError if it fails."""
    process = await asyncio.create_subprocess_exec(
        str(script),
        *arguments,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "GRPCURL": str(grpcurl)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    if process.returncode:
        raise ClientFailedError(f"{script.name} {' '.join(arguments)}: {said.decode().strip()}")
    return out.decode()

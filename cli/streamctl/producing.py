"""What `produce` does: reads input while records are on their way, and counts what arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamctl.failures import CommandError
from streamctl.input import read_chunks
from streamctl.records.lines import LineReader, LineTooLongError, split_keys
from streamkeep import Deliveries, Producer, StreamkeepError

# Chunks of input whose outcome is not known yet; the producer's own buffer bounds their bytes.
MAX_UNSETTLED = 64
LEAVE_TIMEOUT_MS = 500


@dataclass(frozen=True, slots=True)
class RecordForm:
    """How a line becomes a record. No separator: no key."""

    separator: bytes | None = None
    partition: int | None = None
    headers: Mapping[str, bytes] | None = None


class LineSender:
    """Sends the lines of one input to one topic; `acknowledged` counts, also when that fails half-way."""

    def __init__(self, producer: Producer, topic: str, form: RecordForm) -> None:
        self._producer = producer
        self._topic = topic
        self._form = form
        self._unsettled: asyncio.Queue[Deliveries | None] = asyncio.Queue(MAX_UNSETTLED)
        self.acknowledged = 0

    async def send_all(self, descriptor: int) -> None:
        """Until the input ends and everything is acknowledged.

        Raises the first failure of a delivery at once, and what is wrong with the input after all before it
        was acknowledged.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._settle())
                reading = group.create_task(self._read(descriptor))
        except* Exception as failures:
            raise failures.exceptions[0] from None
        complaint = reading.result()
        if complaint is not None:
            raise complaint

    async def _read(self, descriptor: int) -> Exception | None:
        """Returns what made it stop before the end."""
        reader = LineReader()
        complaint: Exception | None = None
        try:
            async for chunk in read_chunks(descriptor):
                await self._send(reader.feed(chunk))
            await self._send(reader.end())
        except LineTooLongError as error:
            complaint = CommandError(str(error))
        except StreamkeepError as error:
            complaint = error
        await self._unsettled.put(None)
        return complaint

    async def _send(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        form = self._form
        columns = split_keys(lines, form.separator)
        deliveries = await self._producer.send_many(
            self._topic,
            columns.values,
            keys=columns.keys,
            headers=None if form.headers is None else [form.headers] * len(lines),
            partition=form.partition,
        )
        await self._unsettled.put(deliveries)

    async def _settle(self) -> None:
        while (deliveries := await self._unsettled.get()) is not None:
            try:
                await deliveries
            except StreamkeepError:
                self.acknowledged += sum(d.done() and d.exception() is None for d in deliveries)
                raise
            self.acknowledged += len(deliveries)

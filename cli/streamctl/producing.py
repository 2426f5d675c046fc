"""What `produce` does: reads input while records are on their way, and counts what arrived.

Knows neither the form of the input, which a RowsReader reads, nor what the command line said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from streamctl.destination import Destination
from streamctl.failures import CommandError, ExitCode, joined
from streamctl.input import read_chunks
from streamctl.output import note
from streamctl.records.routes import Target, shipments
from streamctl.records.rows import Rows, RowsReader
from streamctl.retention import RetentionWatch
from streamkeep import Deliveries, Producer, StreamkeepError
from streamkeep.errors import BatchTooLargeError, InvalidTimestampError

# Pieces of input whose outcome is not known yet; the producer's own buffer bounds their bytes.
MAX_UNSETTLED = 64
LEAVE_TIMEOUT_MS = 500
SKIP = "--skip-bad-lines goes on without it"
MAX_TOLD = 10
"""Bad lines that are named when they are skipped; the rest is counted."""


class _Sent(NamedTuple):
    """Records on their way, which lines they are, and the times that those said."""

    deliveries: Deliveries
    numbers: Sequence[int]
    timestamps_ms: Sequence[int] | None


class _Read(NamedTuple):
    """All before it was sent: so much of the input is done when it is acknowledged."""

    size_bytes: int


class RecordSender:
    """Sends the records of one input, the only ones of `producer`; `acknowledged` and `skipped` count, also
    when that fails half-way.

    `skip_bad` goes on where a line is no record that can be sent. `retention` knows which records will not
    be kept. `advance` hears how many bytes of the input are done with.
    """

    def __init__(
        self,
        producer: Producer,
        reader: RowsReader,
        destination: Destination,
        *,
        skip_bad: bool = False,
        retention: RetentionWatch | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        self._producer = producer
        self._reader = reader
        self._destination = destination
        self._skip_bad = skip_bad
        self._retention = retention
        self._advance = advance
        self._unsettled: asyncio.Queue[_Sent | _Read | None] = asyncio.Queue(MAX_UNSETTLED)
        self._refused = 0
        self.skipped = 0

    @property
    def acknowledged(self) -> int:
        """Also those that nobody waits for any more, after Ctrl-C or a failure."""
        return self._producer.metrics().records_acknowledged

    @property
    def unknown(self) -> int:
        """Sent, but what became of them nobody has said: so many more may be stored."""
        return self._producer.metrics().records_sent - self.acknowledged - self._refused

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

    # --- reading and sending ---

    async def _read(self, descriptor: int) -> Exception | None:
        """Returns what made it stop before the end."""
        complaint: Exception | None = None
        try:
            async for chunk in read_chunks(descriptor):
                await self._take(self._reader.feed(chunk))
                if self._advance is not None:
                    await self._unsettled.put(_Read(len(chunk)))
            await self._take(self._reader.end())
        except (CommandError, StreamkeepError) as error:
            complaint = error
        await self._unsettled.put(None)
        return complaint

    async def _take(self, rows: Rows) -> None:
        """Send what came, then complain of what is bad: if that is the end, all before it is on its way."""
        if rows.values:
            target = self._destination.sole_target(rows)
            await (self._ship(rows) if target is None else self._send(target, rows))
        for text in rows.bad:
            self._complain(text)

    async def _ship(self, rows: Rows) -> None:
        """Each record where it says."""
        targets = self._destination.targets(rows)
        refusals = await self._destination.refusals(self._producer, targets)
        places = range(len(rows))
        strays = [place for place in places if targets[place] in refusals] if refusals else []
        if strays and not self._skip_bad:
            places = range(strays[0])
        for target, indexes in shipments(targets, places):
            if target not in refusals:
                await self._send(target, rows.pick(indexes))
        for place in strays:
            text, hint, code = refusals[targets[place]]
            self._complain(self._named(rows.numbers[place], text), hint, code)

    async def _send(self, target: Target, rows: Rows) -> None:
        if self._retention is not None and (warning := self._retention.warning(target.topic, rows)):
            note(warning)
        deliveries = await self._producer.send_many(
            target.topic,
            rows.values,
            keys=rows.keys,
            headers=self._destination.headers_of(rows),
            timestamps_ms=rows.timestamps_ms,
            partition=target.partition,
        )
        await self._unsettled.put(_Sent(deliveries, rows.numbers, rows.timestamps_ms))

    # --- outcomes ---

    async def _settle(self) -> None:
        while (item := await self._unsettled.get()) is not None:
            if isinstance(item, _Read):
                if self._advance is not None:
                    self._advance(item.size_bytes)
                continue
            try:
                await item.deliveries
            except StreamkeepError as error:
                self._judge(item, error)

    def _judge(self, sent: _Sent, first_error: StreamkeepError) -> None:
        """A record that the topic finds too large is a bad line; any other failure ends it all."""
        failures = sent.deliveries.failures()
        if not all(isinstance(error, BatchTooLargeError) for _, error in failures):
            raise self._of_line(sent, first_error)
        self._refused += len(failures)
        for index, error in failures:
            self._complain(self._named(sent.numbers[index], str(error)))

    def _of_line(self, sent: _Sent, error: StreamkeepError) -> Exception:
        """The error with the line whose time it is about, if it is about one. It cannot be skipped: it has
        kept all records of its batch from being stored."""
        if isinstance(error, InvalidTimestampError) and sent.timestamps_ms is not None:
            for number, time_ms in zip(sent.numbers, sent.timestamps_ms, strict=True):
                if f"timestamp {time_ms} " in error.message:
                    return CommandError(self._named(number, str(error)))
        return error

    def _named(self, number: int, text: str) -> str:
        return f"{self._reader.noun} {number}: {text}"

    def _complain(self, text: str, hint: str | None = None, code: int = ExitCode.FAILED) -> None:
        """Of one line. Raises CommandError, with what helps, unless bad lines are skipped."""
        if not self._skip_bad:
            if hint is None:
                hint = SKIP if self._reader.noun == "line" else ""
            raise CommandError(joined(text, hint), ExitCode(code))
        self.skipped += 1
        if self.skipped <= MAX_TOLD:
            note(joined(text, "skipped"))
        elif self.skipped == MAX_TOLD + 1:
            note("more bad lines are skipped without a word")

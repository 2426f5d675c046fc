"""Reading for ever: what `consume` does without an end, and how it learns of partitions to come.

New partitions of a topic, and new topics of a pattern, are read from their beginning; so nothing is missed,
whatever was produced before they were noticed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Literal

from streamctl.consuming import Offsets, Sink
from streamctl.output import note
from streamctl.topic_choice import TopicChoice
from streamkeep import ConsumedBatch, Consumer, StreamkeepError, TopicPartition
from streamkeep.errors import UnknownTopicError

_logger = logging.getLogger(__name__)

LOOK_S = 2.0
"""Between two looks at what topics there are."""
FAREWELL_LOOKS, FAREWELL_S = 3, 0.5
"""Some coordinators hear of a deletion later than others."""

Look = Callable[[], Awaitable[Mapping[str, int]]]
"""Asks how many partitions each topic has."""


class Watch:
    """Looks for partitions that belong to the choice and are not read yet; `found` has their log starts.

    `refresh` makes the client learn of them, too.
    """

    def __init__(
        self,
        consumer: Consumer,
        choice: TopicChoice,
        *,
        look: Look,
        refresh: Callable[[], Awaitable[object]],
        known: Offsets,
    ) -> None:
        self._consumer = consumer
        self._choice = choice
        self._look = look
        self._refresh = refresh
        self._known = set(known)
        self.found: dict[TopicPartition, int] = {}
        self.arrived = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def settle(self, read: Offsets) -> None:
        """These are read now."""
        self.found = {place: start for place, start in self.found.items() if place not in read}
        if not self.found:
            self.arrived.clear()

    async def forget_deleted(self) -> set[str]:
        """Topics that were known and are gone; they are new if they come back."""
        if not self._choice.has_patterns:
            return set()
        gone = {place.topic for place in self._known} - set(await self._look())
        self._known = {place for place in self._known if place.topic not in gone}
        self.settle({place: start for place, start in self.found.items() if place.topic in gone})
        return gone

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look_once()
            except StreamkeepError as error:
                _logger.debug("looking for new partitions: %s", error)  # reading goes on, and so does looking

    async def _look_once(self) -> None:
        places = self._choice.places(await self._look())
        fresh = [place for place in places if place not in self._known]
        if not fresh:
            return
        await self._refresh()
        starts = await self._consumer.beginning_offsets(fresh)
        self._known.update(starts)
        self.found.update(starts)
        self.arrived.set()


async def follow(consumer: Consumer, starts: Offsets, sink: Sink, watch: Watch) -> None:
    """Give all records from these offsets on to the sink, in the order of arrival, until it is full.

    A topic of a pattern that is deleted meanwhile is left out; one that was named ends it with
    UnknownTopicError.
    """
    await consumer.assign(starts)
    async with watch.running():
        while not sink.is_full:
            try:
                await _read(consumer, sink, watch.arrived)
                await _widen(consumer, watch)
            except UnknownTopicError:
                if not await _leave_deleted(consumer, watch):
                    raise


async def _read(consumer: Consumer, sink: Sink, interruption: asyncio.Event) -> None:
    """Until the sink is full or it is interrupted."""
    interrupted = asyncio.create_task(interruption.wait())
    try:
        async with aclosing(consumer.batches()) as batches:
            while not sink.is_full and (batch := await _next(batches, interrupted)) is not None:
                await sink.take(batch)
    finally:
        interrupted.cancel()


async def _next(
    batches: AsyncIterator[ConsumedBatch], interrupted: asyncio.Task[Literal[True]]
) -> ConsumedBatch | None:
    """None if it was interrupted; then nothing was taken that is not handed out."""
    reading = asyncio.ensure_future(anext(batches))
    try:
        await asyncio.wait([reading, interrupted], return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not reading.done():
            reading.cancel()
            await asyncio.wait([reading])
    return None if reading.cancelled() else reading.result()


async def _widen(consumer: Consumer, watch: Watch) -> None:
    """Read what was found, too; the others go on where they are."""
    found = dict(watch.found)
    if found:
        await consumer.assign(_positions(consumer) | found)
        watch.settle(found)


async def _leave_deleted(consumer: Consumer, watch: Watch) -> set[str]:
    """Read on without topics that are gone. Returns those."""
    for _ in range(FAREWELL_LOOKS):
        gone = await watch.forget_deleted()
        if gone:
            break
        await asyncio.sleep(FAREWELL_S)
    for topic in sorted(gone):
        note(f"topic '{topic}' was deleted")
    if gone:
        positions = _positions(consumer)
        await consumer.assign({place: at for place, at in positions.items() if place.topic not in gone})
    return gone


def _positions(consumer: Consumer) -> dict[TopicPartition, int]:
    return {place: consumer.position(place) for place in consumer.assignment()}

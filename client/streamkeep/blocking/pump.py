"""Brings what threads have staged to a producer on the loop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from streamkeep.blocking.handover import Handover
from streamkeep.blocking.staging import Staging
from streamkeep.producer.producer import Producer
from streamkeep_common.errors import ClosedError, StreamkeepError

_logger = logging.getLogger(__name__)

_PAUSE_S = 0.001
"""Between two looks while threads are sending: one wake-up would cost them more than ten records do, and each
look would find a few only. An idle producer is woken at once."""

_CLOSED = "the producer is closed"
_NOT_TAKEN = "the producer was closed before it could take the record"
_PERHAPS_TAKEN = "the producer was closed while it took the record; it may be stored"


class LoopProducer(Producer[bytes, bytes]):
    """A producer whose handle is on another thread."""

    def __del__(self) -> None:
        """The handle complains."""

    @property
    def max_record_bytes(self) -> int:
        return self._max_record_bytes


class Pump:
    """On the loop, from `start` to `close`. `staging` is the way in, for any thread."""

    def __init__(self, producer: LoopProducer, staging: Staging) -> None:
        self.staging = staging
        self.producer = producer
        self._taken: deque[Handover] = deque()
        self._giving: Handover | None = None
        """The first of them, if some of its records may be the producer's already."""
        self._working: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make it ready. Raises ClosedError after `close`."""
        await self.producer.start()
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="streamkeep-pump")

    async def flush(self, behind: Handover) -> None:
        """Until this was taken, and all that the producer has then is settled."""
        await behind.wait_until_taken()
        await self.producer.flush()

    async def close(self, *, timeout_ms: int | None = None) -> None:
        """As `Producer.close`, which it does at last. If it is cancelled, what is left fails at once."""
        loop = asyncio.get_running_loop()
        timeout_s = None if timeout_ms is None else timeout_ms / 1_000
        deadline_s = None if timeout_s is None else loop.time() + timeout_s
        self.staging.close(_CLOSED)
        self.staging.wanted.set()
        try:
            if self._working is not None:
                await asyncio.wait([self._working], timeout=timeout_s)
        except asyncio.CancelledError:
            deadline_s = loop.time()
            raise
        finally:
            await self._stop()
            left_ms = None if deadline_s is None else max(0, round((deadline_s - loop.time()) * 1_000))
            await self.producer.close(timeout_ms=left_ms)

    async def _stop(self) -> None:
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)

    # --- inside ---

    async def _work(self) -> None:
        """Until there is nothing any more and never will be."""
        try:
            while True:
                is_closed = self.staging.is_closed  # read before the last look, not after it
                if self._take():
                    await self._give_all()
                    await self._pause()
                elif is_closed:
                    return
                else:
                    await self._wait()
        except Exception:
            _logger.exception("nothing more can be sent")
            raise
        finally:
            self.staging.close(_CLOSED)
            self._take()
            for handover in self._taken:
                error = ClosedError(_PERHAPS_TAKEN if handover is self._giving else _NOT_TAKEN)
                self._refuse(handover, error)

    def _take(self) -> bool:
        self._taken.extend(self.staging.take())
        return bool(self._taken)

    async def _give_all(self) -> None:
        while self._taken:
            handover = self._giving = self._taken[0]
            try:
                await handover.give(self.producer)
            except StreamkeepError as error:
                self._refuse(handover, error)
                self.staging.partitions.pop(handover.topic, None)
            self._taken.popleft()
            self._giving = None

    @staticmethod
    def _refuse(handover: Handover, error: StreamkeepError) -> None:
        """Told to whoever waits for an outcome, and to the log for those who do not."""
        if handover.count:
            what = "1 record" if handover.count == 1 else f"{handover.count} records"
            _logger.warning("%s for topic '%s' failed: %s", what, handover.topic, error)
        handover.refuse(error)

    async def _pause(self) -> None:
        """A moment, or until somebody waits for what was staged."""
        timer = asyncio.get_running_loop().call_later(_PAUSE_S, self.staging.wanted.set)
        await self._wait()
        timer.cancel()

    async def _wait(self) -> None:
        await self.staging.wanted.wait()
        self.staging.wanted.clear()

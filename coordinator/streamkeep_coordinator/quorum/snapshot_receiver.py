"""Takes in a snapshot: written aside while its image is built, then offered to the core as a message.

One at a time; a newer one puts an end to the one before, which its sender has given up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from streamkeep_common.errors import InvalidRequestError, StreamkeepError, to_proto
from streamkeep_common.image import ClusterImage, SnapshotBuilder
from streamkeep_common.seams import Disk, ServerStream, Worker
from streamkeep_coordinator.quorum.form import check_snapshot
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.raft import RaftLog
from streamkeep_coordinator.storage.snapshots import ReceivedSnapshot, SnapshotId
from streamkeep_proto.v1.raft_pb2 import (
    RaftHello,
    RaftMessage,
    SnapshotChunk,
    SnapshotHeader,
    SnapshotInstalled,
    SnapshotReceived,
)

CHUNK_TIMEOUT_S = 10.0

_logger = logging.getLogger(__name__)

Stream = ServerStream[SnapshotChunk, SnapshotInstalled]


class Arrived(NamedTuple):
    """A snapshot that is durable aside, and what it says."""

    id: SnapshotId
    file: ReceivedSnapshot
    image: ClusterImage


class SnapshotReceiver:
    """`let_in` checks a hello, as for a stream of messages; `step` takes messages for the core."""

    def __init__(
        self,
        disk: Disk,
        directory: Path,
        worker: Worker,
        local: LocalCoordinator,
        *,
        image: Callable[[], ClusterImage],
        log: Callable[[], RaftLog],
        let_in: Callable[[RaftHello], Awaitable[None]],
        step: Callable[[RaftMessage], None],
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._worker = worker
        self._local = local
        self._image = image
        self._log = log
        self._let_in = let_in
        self._step = step
        self._receiving: asyncio.Task[None] | None = None
        self._arrived: Arrived | None = None

    async def install(self, stream: Stream) -> None:
        """The handler of InstallSnapshot."""
        try:
            first = await self._next(stream)
            if not first.HasField("header"):
                raise InvalidRequestError("a snapshot begins with its header")
            check_snapshot(first.header)
            await self._let_in(first.header.hello)
            await self._alone(partial(self._receive, stream, first))
        except (StreamkeepError, TimeoutError) as error:
            _logger.warning("a snapshot was refused: %s", error)
            reason = error if isinstance(error, StreamkeepError) else InvalidRequestError("it took too long")
            await stream.send(SnapshotInstalled(error=to_proto(reason)))
            return
        await stream.send(SnapshotInstalled())

    def take(self, snapshot: SnapshotReceived) -> Arrived:
        """The one that the core wants to have installed."""
        arrived, self._arrived = self._arrived, None
        assert arrived is not None, "no snapshot has arrived"
        assert (arrived.id.index, arrived.id.term) == (snapshot.index, snapshot.last_term), "another one"
        return arrived

    async def close(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.gather(self._receiving, return_exceptions=True)

    async def _alone(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while self._receiving is not None and not self._receiving.done():
            await self.close()  # whoever waited here, too, may have begun meanwhile
        task = self._receiving = asyncio.create_task(work())
        try:
            await task
        except asyncio.CancelledError:
            if not task.cancelled() or (current := asyncio.current_task()) is None or current.cancelling():
                raise
            raise InvalidRequestError("a newer snapshot has come") from None

    async def _receive(self, stream: Stream, first: SnapshotChunk) -> None:
        header = first.header
        if header.index <= self._log().base_index:
            return  # it is here, or on its way from beside the log into its place
        snapshot_id = SnapshotId(header.index, header.last_term)
        file = ReceivedSnapshot(self._disk, self._directory, snapshot_id)
        try:
            builder = SnapshotBuilder(self._image())
            chunk = first
            await self._add(file, builder, chunk)
            while not chunk.is_last:
                chunk = await self._next(stream)
                await self._add(file, builder, chunk)
            await self._worker.run(file.finish)
        except BaseException:
            self._discard(file)
            raise
        arrived = Arrived(snapshot_id, file, builder.finish(snapshot_id.index))
        self._offer(arrived, header)
        if self._arrived is not arrived:
            self._discard(file)

    def _discard(self, file: ReceivedSnapshot) -> None:
        """Nobody waits for it: the worker does it before whatever comes next."""
        self._worker.run(file.discard).add_done_callback(_note_failure)

    async def _add(self, file: ReceivedSnapshot, builder: SnapshotBuilder, chunk: SnapshotChunk) -> None:
        await self._worker.run(partial(file.add, chunk.snapshot.SerializeToString()))
        builder.add(chunk.snapshot.records)

    def _offer(self, arrived: Arrived, header: SnapshotHeader) -> None:
        """The core decides at once whether it takes the place of the log."""
        self._step(
            RaftMessage(
                sender=header.hello.coordinator_id,
                sender_directory_id=header.hello.directory_id,
                receiver=self._local.id,
                receiver_directory_id=self._local.directory_id,
                term=header.term,
                snapshot_received=SnapshotReceived(
                    index=header.index,
                    last_term=header.last_term,
                    quorum=header.quorum if header.HasField("quorum") else None,
                ),
            )
        )
        restored = self._log().restored
        if restored is not None and restored.index == arrived.id.index:
            self._arrived = arrived

    async def _next(self, stream: Stream) -> SnapshotChunk:
        async with asyncio.timeout(CHUNK_TIMEOUT_S):
            chunk = await stream.receive()
        if chunk is None:
            raise InvalidRequestError("the stream ended before the snapshot did")
        return chunk


def _note_failure(discarded: asyncio.Future[None]) -> None:
    if not discarded.cancelled() and (error := discarded.exception()) is not None:
        _logger.warning("what is left of a snapshot stays until the next one or the next start: %s", error)

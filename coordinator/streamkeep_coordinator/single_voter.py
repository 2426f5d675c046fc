"""A quorum of one: an entry is committed when it is durable here.

Group commit: entries proposed while a flush runs share the next one. The event loop never waits for the
disk. A failed write or flush is final (its outcome on the disk is unknown): everything that waits fails, and
the process must stop and recover from what the disk really holds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from streamkeep_common.errors import InvalidRequestError, UnavailableError
from streamkeep_common.seams import Clock, Worker
from streamkeep_coordinator.storage.frame import MAX_PAYLOAD_BYTES
from streamkeep_coordinator.storage.storage import Storage
from streamkeep_coordinator.storage.wal import MAX_FLUSH_BYTES
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry

MAX_UNCOMMITTED_BYTES = MAX_FLUSH_BYTES


class SingleVoter:
    """The Consensus of a cluster with one coordinator. `storage` has been recovered and is used by nobody else.

    `on_commit` gets committed entries and their size in bytes; `on_failure` is called once, with the error.
    """

    def __init__(
        self,
        storage: Storage,
        worker: Worker,
        clock: Clock,
        *,
        on_commit: Callable[[MetadataEntry, int], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._storage = storage
        self._worker = worker
        self._clock = clock
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._term = storage.last_term + 1
        self._committed_index = storage.last_index
        self._proposed_index = storage.last_index
        self._waiting: deque[tuple[MetadataEntry, bytes]] = deque()
        self._waiting_bytes = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._flush: asyncio.Task[None] | None = None
        self._failure: UnavailableError | None = None

    @property
    def term(self) -> int:
        return self._term

    @property
    def committed_index(self) -> int:
        return self._committed_index

    def propose(self, records: Sequence[MetadataRecord]) -> MetadataEntry:
        self._check_open()
        entry = MetadataEntry(
            index=self._proposed_index + 1, term=self._term, time_ms=self._clock.now_ms(), records=records
        )
        data = entry.SerializeToString()
        self._check_room(len(data))
        self._proposed_index = entry.index
        self._waiting.append((entry, data))
        self._waiting_bytes += len(data)
        if self._flush is None:
            self._flush = asyncio.create_task(self._flush_all(), name="metadata-log-flush")
        return entry

    async def wait_committed(self, index: int) -> None:
        assert index <= self._proposed_index, f"entry {index} was never proposed"
        if index <= self._committed_index:
            return
        self._check_open()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((index, waiter))
        await waiter

    async def close(self) -> None:
        """Commit what was proposed; refuse what comes later."""
        if self._flush is not None:
            await self._flush
        self._failure = self._failure or UnavailableError("the coordinator has stopped")

    async def _flush_all(self) -> None:
        while self._waiting and self._failure is None:
            group, self._waiting = list(self._waiting), deque()
            self._waiting_bytes = 0
            entries = [RaftEntry(index=entry.index, term=entry.term, data=data) for entry, data in group]
            try:
                await self._worker.run(partial(self._storage.write, entries=entries))
            except Exception as error:  # a bug counts as a broken disk, or all would wait for ever
                self._fail(error)
                break
            for entry, data in group:
                self._committed_index = entry.index
                self._on_commit(entry, len(data))
            self._wake()
        self._flush = None

    def _wake(self) -> None:
        """Indexes of waiters may be out of order: a command that changed nothing waits for an older entry."""
        still: deque[tuple[int, asyncio.Future[None]]] = deque()
        for index, waiter in self._waiters:
            if index > self._committed_index:
                still.append((index, waiter))
            elif not waiter.done():
                waiter.set_result(None)
        self._waiters = still

    def _fail(self, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) else repr(error)
        self._failure = UnavailableError(f"the coordinator's disk failed: {reason}")
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._failure)
        self._waiters.clear()
        self._on_failure(error)

    def _check_open(self) -> None:
        if self._failure is not None:
            raise UnavailableError(self._failure.message)

    def _check_room(self, size: int) -> None:
        if size > MAX_PAYLOAD_BYTES:
            raise InvalidRequestError(f"the request makes a metadata entry of {size} bytes; split it")
        if self._waiting_bytes + size > MAX_UNCOMMITTED_BYTES:
            raise UnavailableError("too many metadata changes wait for the coordinator's disk")

"""An unformatted directory becomes that of a cluster: a new one, or one that names it. Once.

What has begun goes on to its end, also if the stream or the operator that asked for it has gone meanwhile:
else the disk would say one thing and this process another.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any, TypeVar

from streamkeep_common.errors import ClusterMismatchError, InvalidQuorumChangeError, StreamkeepError
from streamkeep_common.seams import Clock, Worker
from streamkeep_coordinator.metadata.cluster import found_cluster
from streamkeep_coordinator.quorum.local import LocalCoordinator
from streamkeep_coordinator.raft import HardState
from streamkeep_coordinator.storage.directory import DataDirectory
from streamkeep_coordinator.storage.storage import Storage
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry

CLUSTER_ID_BYTES = 16
FIRST_EPOCH = 1
FIRST_STATE = HardState(term=1, vote=0, committed_index=0)

T = TypeVar("T")

_logger = logging.getLogger(__name__)


class Formatter:
    """`worker` is the one that writes the log. `on_founded` gets the first entry once all is durable;
    `on_failure` the error of a disk, or a bug, after which nobody knows what is on it.
    """

    def __init__(
        self,
        directory: DataDirectory,
        storage: Storage,
        local: LocalCoordinator,
        *,
        worker: Worker,
        clock: Clock,
        rng: Random,
        on_founded: Callable[[RaftEntry], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._directory = directory
        self._storage = storage
        self._worker = worker
        self._local = local
        self._clock = clock
        self._rng = rng
        self._on_founded = on_founded
        self._on_failure = on_failure
        self._lock = asyncio.Lock()
        self._tasks: dict[asyncio.Task[Any], None] = {}

    async def join(self, cluster_id: str, cluster_epoch: int) -> None:
        """Belong to that cluster, with an empty log. ClusterMismatchError if another one was faster."""
        await self._to_its_end(partial(self._join, cluster_id, cluster_epoch))

    async def found(self, members: list[QuorumMember]) -> str:
        """Begin a new cluster of these members; its id. InvalidQuorumChangeError if there is one already.

        The log is written before the directory says that it belongs to the cluster: a crash in between leaves
        it without one, and the log of no cluster is thrown away.
        """
        return await self._to_its_end(partial(self._found, members))

    async def _to_its_end(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        task = asyncio.create_task(self._one_by_one(work))
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Its error has been told to whoever asked; if nobody is there any more, the log has it."""
        del self._tasks[task]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StreamkeepError):
            _logger.warning("coordinator %d did not become part of a cluster: %s", self._local.id, error)
        elif isinstance(error, Exception):
            self._on_failure(error)

    async def _one_by_one(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with self._lock:
            return await work()

    async def _join(self, cluster_id: str, cluster_epoch: int) -> None:
        if not self._local.is_formatted:
            await self._format(cluster_id, cluster_epoch)
            _logger.info("coordinator %d joins cluster %s", self._local.id, cluster_id)
            return
        own = self._local.identity
        if (own.cluster_id, own.cluster_epoch) != (cluster_id, cluster_epoch):
            raise ClusterMismatchError(
                f"it has become one of cluster {own.cluster_id} in epoch {own.cluster_epoch}"
            )

    async def _found(self, members: list[QuorumMember]) -> str:
        if self._local.is_formatted:
            raise InvalidQuorumChangeError(
                f"this coordinator is one of cluster {self._local.identity.cluster_id} already"
            )
        cluster_id = _new_cluster_id(self._rng)
        entry = self._first_entry(cluster_id, QuorumRecord(cluster_epoch=FIRST_EPOCH, members=members))
        write = partial(self._storage.write, hard_state=FIRST_STATE, truncate_from=0, entries=[entry])
        await self._worker.run(write)
        await self._format(cluster_id, FIRST_EPOCH)
        self._on_founded(entry)
        _logger.info("coordinator %d has founded cluster %s", self._local.id, cluster_id)
        return cluster_id

    async def _format(self, cluster_id: str, cluster_epoch: int) -> None:
        self._local.identity = await self._worker.run(
            partial(self._directory.format, cluster_id, cluster_epoch)
        )

    def _first_entry(self, cluster_id: str, quorum: QuorumRecord) -> RaftEntry:
        records = found_cluster(cluster_id, quorum).records
        entry = MetadataEntry(index=1, term=FIRST_STATE.term, time_ms=self._clock.now_ms(), records=records)
        return RaftEntry(index=1, term=FIRST_STATE.term, data=entry.SerializeToString(), quorum=quorum)


def _new_cluster_id(rng: Random) -> str:
    """22 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(rng.randbytes(CLUSTER_ID_BYTES)).rstrip(b"=").decode()

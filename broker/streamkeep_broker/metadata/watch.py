"""The broker's copy of the cluster image, kept by following the committed metadata log.

It resumes at the index it has; a coordinator that no longer has the entries sends a snapshot. An image
never goes back: an older snapshot is refused, unless the cluster was recovered by force meanwhile, and an
entry that does not fit ends the process. Others get their turn between the pieces of much metadata.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from streamkeep_broker.metadata.coordinators import RECONNECT
from streamkeep_broker.streams import cancel, run_watched
from streamkeep_common.errors import (
    ClusterMismatchError,
    StreamkeepError,
    UnsupportedFeatureError,
    raise_if_error,
)
from streamkeep_common.image import (
    ClusterImage,
    ImageDelta,
    SnapshotBuilder,
    apply,
    difference,
)
from streamkeep_common.methods import WATCH
from streamkeep_common.retry import Backoff
from streamkeep_common.seams import ClientStream, Clock, Network, RpcError, Status
from streamkeep_proto.v1.coordinator_pb2 import WatchRequest, WatchResponse
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, MetadataSnapshot

SILENCE_S = 1.5

PIECE_RECORDS = 250
"""Records applied at a stretch: about 2 ms."""

WatchStream = ClientStream[WatchRequest, WatchResponse]
OnDelta = Callable[[ImageDelta], None]

_logger = logging.getLogger(__name__)


class MetadataWatch:
    """See the module. `image` is for reading and is replaced, never changed."""

    def __init__(
        self,
        *,
        network: Network,
        clock: Clock,
        rng: random.Random,
        on_entry: OnDelta,
        on_snapshot: OnDelta,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.image = ClusterImage()
        self._network = network
        self._clock = clock
        self._rng = rng
        self._on_entry = on_entry
        self._on_snapshot = on_snapshot
        self._on_failure = on_failure
        self._address = ""
        self._cluster_id = ""
        self._snapshot: SnapshotBuilder | None = None
        self._task: asyncio.Task[None] | None = None

    async def follow(self, address: str, cluster_id: str) -> None:
        """From now on follow the metadata of this cluster at this coordinator: the one with the session.

        Any coordinator has the log, but only the active one surely has its end.
        """
        if self._task is not None and address == self._address:
            return
        await self.stop()
        self._address = address
        self._cluster_id = cluster_id
        self._task = run_watched(self._follow(address), self._on_failure)

    async def stop(self) -> None:
        """Follow no more; the image stays."""
        if self._task is not None:
            await cancel(self._task)

    async def _follow(self, address: str) -> None:
        backoff = Backoff(RECONNECT, self._rng)
        said = ""
        while True:
            index = self.image.index
            end = "the coordinator ended it"
            try:
                await self._watch(address)
            except (ClusterMismatchError, UnsupportedFeatureError):
                raise
            except (RpcError, StreamkeepError) as error:
                end = str(error)
            if self.image.index != index:
                backoff.reset()
                said = ""
            if end != said:  # what is the same at each attempt is said once
                _logger.info("the metadata watch at %s is over: %s", address, end)
            said = end
            await self._clock.sleep(backoff.next_wait_s())

    async def _watch(self, address: str) -> None:
        """One watch, until it ends."""
        self._snapshot = None
        channel = self._network.dial(address)
        try:
            stream = channel.open(WATCH)
            await stream.send(
                WatchRequest(
                    after_index=self.image.index,
                    cluster_id=self._cluster_id,
                    cluster_epoch=self.image.cluster_epoch,
                )
            )
            await stream.half_close()
            while (response := await self._receive(stream)) is not None:
                raise_if_error(response.error)
                await self._take(response)
        finally:
            await channel.close()

    async def _receive(self, stream: WatchStream) -> WatchResponse | None:
        try:
            async with asyncio.timeout(SILENCE_S):
                return await stream.receive()
        except TimeoutError:
            raise RpcError(Status.UNAVAILABLE, f"the coordinator was silent for {SILENCE_S} s") from None

    async def _take(self, response: WatchResponse) -> None:
        if response.HasField("snapshot"):
            await self._add(response.snapshot)
            if response.snapshot_complete:
                self._replace(response.snapshot.index)
        applied = 0
        for entry in response.entries:
            if applied >= PIECE_RECORDS:
                await asyncio.sleep(0)
                applied = 0
            self._apply(entry)
            applied += len(entry.records)

    def _apply(self, entry: MetadataEntry) -> None:
        if entry.index <= self.image.index:
            return
        if entry.index != self.image.index + 1:
            raise RpcError(
                Status.INTERNAL,
                f"metadata entry {entry.index} does not follow {self.image.index}: asking again",
            )
        self.image, delta = apply(self.image, entry.records, entry.index)
        self._on_entry(delta)

    async def _add(self, snapshot: MetadataSnapshot) -> None:
        if self._snapshot is None:
            self._snapshot = SnapshotBuilder(similar=self.image)
        for at in range(0, len(snapshot.records), PIECE_RECORDS):
            self._snapshot.add(snapshot.records[at : at + PIECE_RECORDS])
            await asyncio.sleep(0)

    def _replace(self, index: int) -> None:
        assert self._snapshot is not None, "a snapshot ends before it began"
        before, after = self.image, self._snapshot.finish(index)
        self._snapshot = None
        if after.cluster_id != self._cluster_id:
            raise ClusterMismatchError(
                f"this broker belongs to cluster {self._cluster_id}, the coordinator to {after.cluster_id}"
            )
        if (after.cluster_epoch, after.index) < (before.cluster_epoch, before.index):
            raise RpcError(
                Status.INTERNAL,
                f"a metadata snapshot at {after.index} is older than the image at {before.index}",
            )
        _logger.info("metadata snapshot at index %d with %d topics", after.index, len(after.topics))
        self.image = after
        self._on_snapshot(difference(before, after))

"""Follows the watch as a broker does."""

from __future__ import annotations

import asyncio

from streamkeep_common.image import ClusterImage, apply
from streamkeep_common.methods import WATCH
from streamkeep_common.seams import Channel
from streamkeep_proto.v1.coordinator_pb2 import WatchRequest, WatchResponse
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord


class Watcher:
    """Follows the watch as a broker does."""

    def __init__(
        self,
        client: Channel,
        *,
        after: ClusterImage | None = None,
        cluster_id: str = "",
        cluster_epoch: int = 0,
    ) -> None:
        self.image = after or ClusterImage()
        self.snapshots = 0
        self.responses = 0
        self._chunks: list[MetadataRecord] = []
        self._stream = client.open(WATCH)
        self._request = WatchRequest(
            after_index=self.image.index, cluster_id=cluster_id, cluster_epoch=cluster_epoch
        )

    async def open(self) -> None:
        await self._stream.send(self._request)
        await self._stream.half_close()

    async def next(self) -> WatchResponse:
        response = await self._stream.receive()
        assert response is not None
        self.responses += 1
        if response.HasField("snapshot"):
            self._chunks.extend(response.snapshot.records)
        if response.snapshot_complete:
            self.image, _ = apply(ClusterImage(), self._chunks, response.snapshot.index)
            self._chunks.clear()
            self.snapshots += 1
        for entry in response.entries:
            self.image, _ = apply(self.image, entry.records, entry.index)
        return response

    async def reach(self, index: int) -> None:
        async with asyncio.timeout(5):
            while self.image.index < index:
                await self.next()

"""MetadataService: who leads what, and the committed log as a stream."""

from __future__ import annotations

from collections.abc import Callable

from streamkeep_common.errors import ClusterMismatchError, ShuttingDownError, to_proto
from streamkeep_common.image import ClusterImage
from streamkeep_common.methods import GET_METADATA, METADATA_SERVICE, WATCH
from streamkeep_common.seams import CallInfo, ServerStream, Service
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.services.describe import (
    broker_infos,
    identified_topic_info,
    named_topic_info,
    topic_info,
    topics_by_name,
)
from streamkeep_coordinator.services.requests import check_topics, first_message
from streamkeep_coordinator.snapshotter import snapshot_chunks
from streamkeep_proto.v1.coordinator_pb2 import (
    CoordinatorInfo,
    GetMetadataRequest,
    GetMetadataResponse,
    WatchRequest,
    WatchResponse,
)

WATCH_HEARTBEAT_S = 0.4
"""At least every 500 ms, with room for a late timer."""


class MetadataService:
    """Serves the committed image. `coordinators` says who they are, this one included."""

    def __init__(self, images: Images, coordinators: Callable[[], list[CoordinatorInfo]]) -> None:
        self._images = images
        self._coordinators = coordinators

    def service(self) -> Service:
        return Service(METADATA_SERVICE, {GET_METADATA: self.get_metadata}, {WATCH: self.watch})

    async def get_metadata(self, request: GetMetadataRequest, _info: CallInfo) -> GetMetadataResponse:
        check_topics([*request.names, *request.topic_ids])
        image = self._images.committed
        topics = [named_topic_info(image, name) for name in request.names]
        topics += [identified_topic_info(image, topic_id) for topic_id in request.topic_ids]
        if request.all_topics:
            topics = [topic_info(topic) for topic in topics_by_name(image)]
        return GetMetadataResponse(
            cluster_id=image.cluster_id,
            metadata_index=image.index,
            coordinators=self._coordinators(),
            brokers=broker_infos(image),
            topics=topics,
        )

    async def watch(self, stream: ServerStream[WatchRequest, WatchResponse]) -> None:
        """Entries after the watcher's index; a snapshot first where they are not kept any more.

        A watcher has a cursor and no queue, so a slow one costs nothing and meets a snapshot.
        """
        request = await first_message(stream)
        if request is None:
            return
        cluster_id = self._images.committed.cluster_id
        if request.cluster_id and request.cluster_id != cluster_id:
            error = ClusterMismatchError(f"this is cluster {cluster_id}")
            await stream.send(WatchResponse(error=to_proto(error)))
            return
        await self._follow(stream, request.after_index)

    async def _follow(self, stream: ServerStream[WatchRequest, WatchResponse], cursor: int) -> None:
        feed = self._images.feed
        while not feed.closed:
            entries = feed.after(cursor)
            if entries is None:
                cursor = await self._send_snapshot(stream)
                continue
            await stream.send(WatchResponse(entries=entries, committed_index=feed.committed_index))
            if entries:
                cursor = entries[-1].index
            await feed.wait_past(cursor, WATCH_HEARTBEAT_S)
        await stream.send(WatchResponse(error=to_proto(ShuttingDownError())))

    async def _send_snapshot(self, stream: ServerStream[WatchRequest, WatchResponse]) -> int:
        image: ClusterImage = self._images.committed
        last = None
        for chunk in snapshot_chunks(image, self._images.committed_term):
            if last is not None:
                await stream.send(last)
            last = WatchResponse(snapshot=chunk, committed_index=image.index)
        assert last is not None, "a snapshot has at least one chunk"
        last.snapshot_complete = True
        await stream.send(last)
        return image.index

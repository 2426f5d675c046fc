"""MetadataService: who leads what, and the committed log as a stream. Every coordinator serves both."""

from __future__ import annotations

from collections.abc import Iterator

from streamkeep_common.errors import ClusterMismatchError, ShuttingDownError, StreamkeepError, to_proto
from streamkeep_common.image import ClusterImage
from streamkeep_common.methods import GET_METADATA, METADATA_SERVICE, WATCH
from streamkeep_common.seams import CallInfo, ServerStream, Service
from streamkeep_coordinator.consensus import Consensus
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.services.describe import (
    Describer,
    broker_infos,
    collect,
    identified_topic_info,
    named_topic_info,
    topic_info,
    topics_by_name,
)
from streamkeep_coordinator.services.reads import Reads
from streamkeep_coordinator.services.requests import check_cluster_epoch, check_topics, first_message
from streamkeep_coordinator.snapshotter import snapshot_chunks
from streamkeep_proto.v1.coordinator_pb2 import (
    GetMetadataRequest,
    GetMetadataResponse,
    TopicInfo,
    WatchRequest,
    WatchResponse,
)

WATCH_HEARTBEAT_S = 0.4
"""At least every 500 ms, with room for a late timer."""

FROM_NOTHING = -1
"""The cursor of a watcher whose image is of no use: what follows it is a snapshot."""


class MetadataService:
    """Serves the committed image."""

    def __init__(
        self, images: Images, controller: Controller, consensus: Consensus, describer: Describer
    ) -> None:
        self._images = images
        self._controller = controller
        self._consensus = consensus
        self._describer = describer
        self._reads = Reads(controller, consensus)

    def service(self) -> Service:
        return Service(METADATA_SERVICE, {GET_METADATA: self.get_metadata}, {WATCH: self.watch})

    async def get_metadata(self, request: GetMetadataRequest, _info: CallInfo) -> GetMetadataResponse:
        check_topics([*request.names, *request.topic_ids])
        image, stale = await self._reads.fresh_or_stale()
        topics = await collect(_wanted(image, request), lambda topic: len(topic.partitions))
        return GetMetadataResponse(
            cluster_id=image.cluster_id,
            cluster_epoch=self._consensus.cluster_epoch,
            metadata_index=image.index,
            stale=stale,
            coordinators=self._describer.coordinators(image),
            brokers=broker_infos(image),
            topics=topics,
        )

    async def watch(self, stream: ServerStream[WatchRequest, WatchResponse]) -> None:
        """Entries after the watcher's index; a snapshot first where they are not kept any more.

        A watcher has a cursor and no queue, so a slow one costs nothing and meets a snapshot. One that has
        come from a coordinator further on waits here until this one has caught up with it.
        """
        request = await first_message(stream)
        if request is None:
            return
        try:
            cursor = self._first_cursor(request)
            await self._follow(stream, cursor)
        except StreamkeepError as error:
            await stream.send(WatchResponse(error=to_proto(error)))

    def _first_cursor(self, request: WatchRequest) -> int:
        """Where the watch begins. ClusterMismatchError if the watcher's image is of another cluster."""
        self._check_may_serve()
        cluster_id = self._images.committed.cluster_id
        if cluster_id and request.cluster_id and request.cluster_id != cluster_id:
            raise ClusterMismatchError(f"this is cluster {cluster_id}")
        epoch = self._consensus.cluster_epoch
        check_cluster_epoch(request.cluster_epoch, epoch)
        is_older = 0 < request.cluster_epoch < epoch
        return FROM_NOTHING if is_older else request.after_index

    def _check_may_serve(self) -> None:
        if self._images.feed.closed:
            raise ShuttingDownError
        if (error := self._controller.exclusion()) is not None:
            raise error

    async def _follow(self, stream: ServerStream[WatchRequest, WatchResponse], cursor: int) -> None:
        """Until the stream is cut, or a StreamkeepError says why there is nothing more to come."""
        feed = self._images.feed
        while True:
            self._check_may_serve()
            entries = feed.after(cursor)
            if entries is None:
                cursor = await self._send_snapshot(stream)
                continue
            await stream.send(WatchResponse(entries=entries, committed_index=feed.committed_index))
            if entries:
                cursor = entries[-1].index
            await feed.wait_past(cursor, WATCH_HEARTBEAT_S)

    async def _send_snapshot(self, stream: ServerStream[WatchRequest, WatchResponse]) -> int:
        image = self._images.committed
        last = None
        for chunk in snapshot_chunks(image, self._images.committed_term):
            if last is not None:
                await stream.send(last)
            last = WatchResponse(snapshot=chunk, committed_index=image.index)
        assert last is not None, "a snapshot has at least one chunk"
        last.snapshot_complete = True
        await stream.send(last)
        return image.index


def _wanted(image: ClusterImage, request: GetMetadataRequest) -> Iterator[TopicInfo]:
    if request.all_topics:
        yield from (topic_info(topic) for topic in topics_by_name(image))
        return
    yield from (named_topic_info(image, name) for name in request.names)
    yield from (identified_topic_info(image, topic_id) for topic_id in request.topic_ids)

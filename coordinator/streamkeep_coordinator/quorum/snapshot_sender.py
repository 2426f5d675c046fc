"""Brings the committed image to members that lack entries which are not kept any more.

What is sent is the image in memory and no file: it is newer than any snapshot on disk, and it never changes
while it is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from streamkeep_common.errors import StreamkeepError, raise_if_error
from streamkeep_common.image import ClusterImage
from streamkeep_common.methods import INSTALL_SNAPSHOT
from streamkeep_common.seams import ClientStream, Network, RpcError
from streamkeep_coordinator.snapshotter import snapshot_chunks
from streamkeep_proto.v1.metadata_pb2 import QuorumMember
from streamkeep_proto.v1.raft_pb2 import RaftHello, SnapshotChunk, SnapshotHeader, SnapshotInstalled

CHUNK_TIMEOUT_S = 5.0
INSTALL_TIMEOUT_S = 30.0

_logger = logging.getLogger(__name__)

Stream = ClientStream[SnapshotChunk, SnapshotInstalled]


class SnapshotSender:
    """`image` gives what is committed and its last entry's term; `report` gets how it went, by member."""

    def __init__(
        self,
        network: Network,
        *,
        hello_to: Callable[[QuorumMember], RaftHello],
        image: Callable[[], tuple[ClusterImage, int]],
        report: Callable[[int, bool], None],
    ) -> None:
        self._network = network
        self._hello_to = hello_to
        self._image = image
        self._report = report
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def send(self, member: QuorumMember, term: int) -> None:
        """Begin, unless one is on its way to that member; `term` is the one in which this process leads."""
        if member.coordinator_id not in self._tasks:
            task = asyncio.create_task(self._send(member, term), name="raft-snapshot")
            self._tasks[member.coordinator_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(member.coordinator_id))

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, member: QuorumMember, term: int) -> None:
        channel = self._network.dial(member.address)
        stream = channel.open(INSTALL_SNAPSHOT)
        succeeded = False
        try:
            await self._say(stream, self._hello_to(member), term)
            succeeded = True
        except (RpcError, StreamkeepError, TimeoutError) as error:
            _logger.warning("coordinator %d did not take a snapshot: %s", member.coordinator_id, error)
        finally:
            stream.cancel()
            await channel.close()
            self._report(member.coordinator_id, succeeded)

    async def _say(self, stream: Stream, hello: RaftHello, term: int) -> None:
        image, last_term = self._image()
        for chunk in _chunks(image, last_term, hello, term):
            async with asyncio.timeout(CHUNK_TIMEOUT_S):
                await stream.send(chunk)
        async with asyncio.timeout(INSTALL_TIMEOUT_S):
            answer = await stream.receive()
        if answer is None:
            raise StreamkeepError("it ended the stream without a word")
        raise_if_error(answer.error)


def _chunks(image: ClusterImage, last_term: int, hello: RaftHello, term: int) -> Iterator[SnapshotChunk]:
    """At least one; the first has the header, the last says that it is."""
    header = SnapshotHeader(
        hello=hello, term=term, index=image.index, last_term=last_term, quorum=image.quorum
    )
    chunk = SnapshotChunk(header=header)
    for snapshot in snapshot_chunks(image, last_term):
        if chunk.HasField("snapshot"):
            yield chunk
            chunk = SnapshotChunk()
        chunk.snapshot.CopyFrom(snapshot)
    chunk.is_last = True
    yield chunk

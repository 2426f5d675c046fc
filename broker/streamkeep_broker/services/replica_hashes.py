"""HashReplicas: what this broker's replicas hold, so that replicas can be compared without moving them."""

from __future__ import annotations

import asyncio

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.readable_log import HashedFrames
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.services.read_failures import read_failure
from streamkeep_common.errors import (
    CorruptLogError,
    InvalidRequestError,
    StorageFailedError,
    StreamkeepError,
    to_proto,
)
from streamkeep_common.seams import CallInfo, RpcError, Status
from streamkeep_proto.v1.replication_pb2 import (
    HashReplica,
    HashReplicasRequest,
    HashReplicasResponse,
    ReplicaHash,
)

MAX_REPLICAS_PER_REQUEST = 1_000


class ReplicaHashesService:
    """Hashes leaders and followers alike. One call reads at the pace of one disk; callers take ranges."""

    def __init__(self, *, partitions: Partitions) -> None:
        self._partitions = partitions

    async def hash_replicas(self, request: HashReplicasRequest, _call: CallInfo) -> HashReplicasResponse:
        """One hash for each replica asked for, in the request's order."""
        if len(request.replicas) > MAX_REPLICAS_PER_REQUEST:
            raise RpcError(
                Status.INVALID_ARGUMENT, f"a request names at most {MAX_REPLICAS_PER_REQUEST} replicas"
            )
        response = HashReplicasResponse()
        for item in request.replicas:
            response.replicas.append(await self._hash(item))
            await asyncio.sleep(0)  # what is short and cached is hashed without a wait: others have a turn
        return response

    async def _hash(self, item: HashReplica) -> ReplicaHash:
        answer = ReplicaHash(topic_id=item.topic_id, partition=item.partition)
        try:
            partition = self._partitions.find(item.topic_id, item.partition)
            log = partition.log
            hashed = await _hashed(partition, item)
        except StreamkeepError as error:
            answer.error.CopyFrom(to_proto(error))
            return answer
        answer.from_offset = hashed.from_offset
        answer.to_offset = hashed.to_offset
        answer.sha256 = hashed.sha256
        answer.size_bytes = hashed.size_bytes
        answer.log_start_offset = log.log_start_offset
        answer.high_watermark = log.high_watermark
        answer.log_end_offset = log.log_end_offset
        return answer


async def _hashed(partition: Partition, item: HashReplica) -> HashedFrames:
    """Whoever finds the replica damaged tells it: it is copied anew. But while its log is cut back, its files
    are not what they seem."""
    log = partition.log
    segments = log.segments
    from_offset, to_offset = _range(log, item)
    try:
        return await log.hash_frames(from_offset, to_offset)
    except (CorruptLogError, OSError) as error:
        if log.is_suspended or log.segments is not segments:
            raise StorageFailedError(f"{partition.name} was changed while it was read") from error
        raise read_failure(partition, error) from error


def _range(log: PartitionLog, item: HashReplica) -> tuple[int, int]:
    """What is asked for, or by default what every replica must have: up to the high watermark."""
    if item.from_offset < -1 or item.to_offset < -1:
        raise InvalidRequestError("an offset is at least 0, or -1 for the default")
    from_offset = log.log_start_offset if item.from_offset == -1 else item.from_offset
    to_offset = log.high_watermark if item.to_offset == -1 else item.to_offset
    return from_offset, min(to_offset, log.log_end_offset)

"""ListOffsets and DeleteRecords. Every item has its own outcome; only leaders answer."""

from __future__ import annotations

from streamkeep_broker.log.lookup import FoundOffset
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.partitions import Partitions
from streamkeep_broker.services.limits import MAX_PARTITIONS_PER_REQUEST
from streamkeep_broker.services.record_deletion import delete
from streamkeep_common.errors import (
    InvalidRequestError,
    OffsetNotAvailableError,
    StorageFailedError,
    StreamkeepError,
    to_proto,
)
from streamkeep_common.seams import CallInfo, RpcError, Status
from streamkeep_proto.v1.broker_pb2 import (
    BY_TIMESTAMP,
    EARLIEST,
    LATEST,
    MAX_TIMESTAMP,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    ListedOffset,
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
)

_NO_RECORD = -1


class OffsetsService:
    """Positions in partitions led by this broker."""

    def __init__(self, *, partitions: Partitions) -> None:
        self._partitions = partitions

    async def list_offsets(self, request: ListOffsetsRequest, _call: CallInfo) -> ListOffsetsResponse:
        """One offset for each partition asked for, in the request's order."""
        _check_size(len(request.partitions))
        return ListOffsetsResponse(offsets=[await self._list(item) for item in request.partitions])

    async def delete_records(self, request: DeleteRecordsRequest, _call: CallInfo) -> DeleteRecordsResponse:
        """Move log starts, in the request's order, and wait for those of the in-sync replicas."""
        _check_size(len(request.partitions))
        deleted = await delete(self._partitions, request.partitions, timeout_ms=request.timeout_ms)
        return DeleteRecordsResponse(partitions=deleted)

    async def _list(self, item: ListOffsetsPartition) -> ListedOffset:
        listed = ListedOffset(
            topic_id=item.topic_id, partition=item.partition, offset=_NO_RECORD, timestamp_ms=-1
        )
        try:
            partition = self._partitions.find(item.topic_id, item.partition)
            partition.check_leads(item.leader_epoch)
            found = await _find(partition, item)
        except StreamkeepError as error:
            listed.error.CopyFrom(to_proto(error))
        except OSError as error:
            listed.error.CopyFrom(to_proto(StorageFailedError(f"cannot search {partition.name}: {error}")))
        else:
            if found is not None:
                listed.offset = found.offset
                listed.timestamp_ms = found.timestamp_ms
                listed.leader_epoch = found.leader_epoch
        return listed


def _check_size(partitions: int) -> None:
    if partitions > MAX_PARTITIONS_PER_REQUEST:
        raise RpcError(
            Status.INVALID_ARGUMENT, f"a request names at most {MAX_PARTITIONS_PER_REQUEST} partitions"
        )


async def _find(partition: Partition, item: ListOffsetsPartition) -> FoundOffset | None:
    """The record asked for, or the position as a found offset without a timestamp; None = no such record."""
    log = partition.log
    if item.position == EARLIEST:
        return FoundOffset(log.log_start_offset, -1, log.leader_epochs.at(log.log_start_offset))
    partition.check_watermark_known()
    if item.position == LATEST:
        return FoundOffset(log.high_watermark, -1, log.leader_epochs.at(log.high_watermark - 1))
    if item.position == BY_TIMESTAMP:
        found = await log.find_timestamp(item.timestamp_ms)
        return found if found is not None and found.offset < log.high_watermark else None
    if item.position == MAX_TIMESTAMP:
        return _readable(partition, await log.find_max_timestamp())
    raise InvalidRequestError(f"there is no offset position {item.position}")


def _readable(partition: Partition, found: FoundOffset | None) -> FoundOffset | None:
    """The greatest timestamp may stand above the high watermark: what stands below it is not known then."""
    if found is not None and found.offset >= partition.high_watermark:
        raise OffsetNotAvailableError(
            f"the record of {partition.name} with the greatest timestamp is not acknowledged yet"
        )
    return found

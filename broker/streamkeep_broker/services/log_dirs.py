"""DescribeLogDirs: the state and contents of the log directories."""

from __future__ import annotations

from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.seams import CallInfo
from streamkeep_proto.v1.broker_pb2 import (
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    LogDir,
    LogDirReplica,
)


class LogDirsService:
    """Tells what lies where."""

    def __init__(self, *, logs: LogManager) -> None:
        self._logs = logs

    async def describe(self, _request: DescribeLogDirsRequest, _call: CallInfo) -> DescribeLogDirsResponse:
        """All directories in the order of the settings, with their logs."""
        return DescribeLogDirsResponse(dirs=map(self._describe, self._logs.directories))

    def _describe(self, directory: LogDirectory) -> LogDir:
        return LogDir(
            directory_id=directory.id,
            path=str(directory.path),
            state=directory.state,
            reason=directory.reason,
            total_bytes=directory.space.total,
            free_bytes=directory.space.free,
            replicas=[_replica(log) for log in self._logs if self._logs.directory_of(log) is directory],
        )


def _replica(log: PartitionLog) -> LogDirReplica:
    return LogDirReplica(
        topic=log.topic,
        topic_id=log.topic_id,
        partition=log.partition,
        size_bytes=log.size_bytes,
        log_start_offset=log.log_start_offset,
        high_watermark=log.high_watermark,
        flushed_end_offset=log.flushed_end_offset,
        log_end_offset=log.log_end_offset,
    )

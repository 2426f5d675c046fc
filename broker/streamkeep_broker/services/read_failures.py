"""What a read that failed says of a replica, and what is told to whoever was reading."""

from __future__ import annotations

import errno
import logging

from streamkeep_broker.replication.partition import Partition
from streamkeep_common.errors import CorruptLogError, StorageFailedError, StreamkeepError

_logger = logging.getLogger(__name__)


def read_failure(partition: Partition, error: StreamkeepError | OSError) -> StreamkeepError:
    """It ends one reading; others may go on. A replica with bytes that are damaged, or that its disk cannot
    read any more (EIO), is told so: it is copied anew, and led from elsewhere meanwhile."""
    is_lost = isinstance(error, CorruptLogError)
    if isinstance(error, OSError):
        is_lost = error.errno == errno.EIO
        error = StorageFailedError(f"cannot read {partition.name}: {error}")
    if isinstance(error, CorruptLogError | StorageFailedError):
        _logger.error("a reading of %s was stopped: %s", partition.name, error.message)
    if is_lost:
        partition.on_damaged(partition)
    return error

"""What a read that failed says of a replica, and what is told to whoever was reading."""

from __future__ import annotations

import errno
import logging

from streamkeep_broker.replication.partition import Partition
from streamkeep_common.errors import CorruptLogError, StorageFailedError, StreamkeepError

_UNREADABLE = frozenset(
    {
        errno.EIO,
        errno.EUCLEAN,  # file systems that find themselves damaged say these two
        errno.EBADMSG,
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ELOOP,
    }
)
"""What is asked for lies where it cannot be read, and will not be by itself. What only the process lacks, as
descriptors, is not among them, nor is a file that is gone: it may have been let go meanwhile."""

_logger = logging.getLogger(__name__)


def read_failure(partition: Partition, error: StreamkeepError | OSError) -> StreamkeepError:
    """It ends one reading; others may go on. A replica with bytes that are damaged, or that cannot be
    read any more, is told so: it is copied anew, and led from elsewhere meanwhile."""
    is_lost = isinstance(error, CorruptLogError)
    if isinstance(error, OSError):
        is_lost = error.errno in _UNREADABLE
        error = StorageFailedError(f"cannot read {partition.name}: {error}")
    if isinstance(error, CorruptLogError | StorageFailedError):
        _logger.error("a reading of %s was stopped: %s", partition.name, error.message)
    if is_lost:
        partition.on_damaged(partition)
    return error

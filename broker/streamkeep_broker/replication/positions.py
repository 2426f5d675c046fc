"""Where a reader of a replica may stand, and when its watermark can be told. Pure rules over its log."""

from __future__ import annotations

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.errors import OffsetNotAvailableError, OffsetOutOfRangeError, UnknownLeaderEpochError


def check_position(log: PartitionLog, offset: int, last_read_epoch: int, *, leader_epoch: int) -> None:
    """Raise OffsetOutOfRangeError unless a reader may stand at `offset`.

    `last_read_epoch` is the leader epoch of the record before it, 0 = none. If the log's part of that
    epoch ends below `offset`, what the reader saw was cut from the log: it must hear of it (KIP-320). So it
    must if that epoch never wrote here, while an older one did.
    UnknownLeaderEpochError if that epoch is newer than `leader_epoch`.
    """
    if last_read_epoch and offset >= log.log_start_offset:
        _check_last_read(log, offset, last_read_epoch, leader_epoch)
    log.check_in_range(offset)


def _check_last_read(log: PartitionLog, offset: int, last_read_epoch: int, leader_epoch: int) -> None:
    name = log.name
    if last_read_epoch > leader_epoch:
        raise UnknownLeaderEpochError(
            f"{name} is at leader epoch {leader_epoch}, the reader at {last_read_epoch}"
        )
    epoch, end_offset = log.epoch_end(last_read_epoch)
    if end_offset < offset:
        raise OffsetOutOfRangeError(
            f"{name} was cut at offset {end_offset}: records of leader epoch {last_read_epoch} "
            f"from there to {offset - 1} are gone and others may stand in their place"
        )
    if 0 < epoch < last_read_epoch:
        raise OffsetOutOfRangeError(
            f"{name} has nothing of leader epoch {last_read_epoch}: what it wrote before offset {offset} is "
            f"gone and something else stands in its place"
        )


def check_watermark_known(log: PartitionLog, epoch_start_offset: int, leader_epoch: int) -> None:
    """Raise OffsetNotAvailableError until the high watermark is known to this leader epoch (KIP-207).

    That lasts as long as too few replicas are in sync: below min ISR the watermark stands still (KIP-966). An
    answer from what this leader happens to know might lie below one that its predecessor gave, and who seeks
    to "the end" by it would read again what was read.
    """
    if log.high_watermark < epoch_start_offset:
        raise OffsetNotAvailableError(
            f"the high watermark of {log.name} is at {log.high_watermark}, and how far records were readable "
            f"before leader epoch {leader_epoch} is known only when enough replicas in sync have all up to "
            f"{epoch_start_offset}"
        )

"""Which failures of a read mean that the replica has lost something, and which pass by."""

from __future__ import annotations

import errno
from typing import cast

import pytest

from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.services.read_failures import read_failure
from streamkeep_common.errors import CorruptLogError, OffsetOutOfRangeError, StorageFailedError


class FakePartition:
    """Notes that it was called damaged."""

    name = "t-0"

    def __init__(self) -> None:
        self.is_damaged = False

    def on_damaged(self, partition: object) -> None:
        assert partition is self
        self.is_damaged = True


def failed(error: OSError | CorruptLogError | OffsetOutOfRangeError) -> tuple[type[Exception], bool]:
    """What is told to the reader, and whether the replica is taken for damaged."""
    partition = FakePartition()
    return type(read_failure(cast("Partition", partition), error)), partition.is_damaged


@pytest.mark.parametrize(
    "number",
    [
        errno.EIO,
        errno.EUCLEAN,
        errno.EBADMSG,
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ELOOP,
    ],
)
def test_a_file_that_cannot_be_read_where_it_lies_is_lost_like_a_bad_sector(number: int) -> None:
    """Or else its replica would lead on and refuse every reader for ever, though others have the data."""
    assert failed(OSError(number, "no")) == (StorageFailedError, True)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.ENOENT])
def test_what_only_the_process_lacks_or_a_file_that_went_meanwhile_says_nothing_of_the_disk(
    number: int,
) -> None:
    assert failed(OSError(number, "no")) == (StorageFailedError, False)


def test_damaged_bytes_are_lost_and_a_wrong_offset_is_the_readers_own() -> None:
    assert failed(CorruptLogError("byte 3")) == (CorruptLogError, True)
    assert failed(OffsetOutOfRangeError("9")) == (OffsetOutOfRangeError, False)

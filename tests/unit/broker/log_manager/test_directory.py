"""When a log directory may be written, and what it says when it may not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from streamkeep_broker.log.directory import GIB, LogDirectory, default_min_free_bytes
from streamkeep_common.errors import DiskFullError, DiskStalledError, StorageFailedError
from streamkeep_common.seams import FileSystemSpace
from streamkeep_proto.v1 import broker_pb2


def make_directory(*, free: int = 1000, keep: int = 100) -> LogDirectory:
    directory = LogDirectory(Path("/data"), min_free_bytes=keep)
    directory.measured(FileSystemSpace(total=1000, free=free))
    return directory


def test_a_directory_with_room_may_be_written() -> None:
    directory = make_directory()
    directory.check_appendable()
    assert directory.state == broker_pb2.ONLINE
    assert directory.reason == ""


def test_it_is_read_only_under_the_threshold_and_writable_again_above_twice_of_it() -> None:
    directory = make_directory()
    assert directory.measured(FileSystemSpace(1000, 99))
    assert directory.state == broker_pb2.READ_ONLY
    assert directory.reason == "/data has 99 bytes free and keeps 100 free"
    with pytest.raises(DiskFullError, match="99 bytes free"):
        directory.check_appendable()
    assert not directory.measured(FileSystemSpace(1000, 200))
    assert directory.measured(FileSystemSpace(1000, 201))
    directory.check_appendable()


def test_what_is_written_between_two_measurements_counts() -> None:
    directory = make_directory(free=1000, keep=100)
    assert not directory.wrote(900)
    assert directory.wrote(1)
    assert not directory.wrote(1)
    assert directory.state == broker_pb2.READ_ONLY


def test_no_space_left_makes_it_read_only_whatever_was_measured() -> None:
    directory = make_directory()
    assert directory.ran_out_of_space()
    assert not directory.ran_out_of_space()
    with pytest.raises(DiskFullError, match="no space left"):
        directory.check_appendable()


def test_a_full_or_stalled_directory_is_readable_and_a_failed_one_is_not() -> None:
    directory = make_directory(free=0)
    directory.stalled(2000)
    directory.check_readable()
    directory.failed("A flush of", OSError(errno.EIO, "Input/output error"))
    with pytest.raises(StorageFailedError, match="A flush of /data failed: Input/output error"):
        directory.check_readable()


def test_a_stall_ends_when_the_flush_is_done() -> None:
    directory = make_directory()
    assert directory.stalled(2000)
    with pytest.raises(DiskStalledError, match="more than 2000 ms"):
        directory.check_appendable()
    assert directory.state == broker_pb2.STALLED
    assert directory.answered()
    directory.check_appendable()


def test_a_failure_is_for_ever_and_its_first_reason_stays() -> None:
    directory = make_directory()
    assert directory.failed("A write to", OSError(errno.EIO, "Input/output error"))
    assert not directory.failed("A flush of", OSError(errno.EIO, "again"))
    assert not directory.measured(FileSystemSpace(1000, 1000))
    assert not directory.answered()
    assert directory.is_offline
    assert directory.state == broker_pb2.OFFLINE
    with pytest.raises(StorageFailedError, match="A write to /data failed"):
        directory.check_appendable()


def test_a_topic_may_ask_for_more_room_to_be_kept() -> None:
    directory = make_directory(free=300)
    directory.check_appendable(300)
    with pytest.raises(DiskFullError, match="the topic keeps 301"):
        directory.check_appendable(301)


def test_by_default_the_smaller_of_one_gibibyte_and_five_percent_is_kept_free() -> None:
    assert default_min_free_bytes(100 * GIB) == GIB
    assert default_min_free_bytes(1000) == 50
    directory = LogDirectory(Path("/data"))
    assert directory.measured(FileSystemSpace(1000, 49))

"""What is refused at the door, because the core would end the process for it."""

from __future__ import annotations

import pytest

from streamkeep_common.errors import InvalidRequestError
from streamkeep_coordinator.quorum.form import check_hello, check_message, check_snapshot
from streamkeep_proto.v1.raft_pb2 import (
    AppendRequest,
    Heartbeat,
    RaftEntry,
    RaftHello,
    RaftMessage,
    SnapshotHeader,
    SnapshotReceived,
)


def hello(**changes: object) -> RaftHello:
    said = RaftHello(
        cluster_id="C" * 22,
        cluster_epoch=2,
        coordinator_id=2,
        directory_id=b"t" * 16,
        address="[::1]:7101",
        to_coordinator_id=1,
        to_directory_id=b"o" * 16,
    )
    said.MergeFrom(RaftHello(**changes))  # type: ignore[arg-type]
    return said


def append(*entries: tuple[int, int], term: int = 3, committed_index: int = 0) -> RaftMessage:
    """Behind entry 4 of term 2."""
    request = AppendRequest(previous_index=4, previous_term=2, committed_index=committed_index)
    request.entries.extend(RaftEntry(index=index, term=of) for index, of in entries)
    return RaftMessage(term=term, append_request=request)


def test_what_coordinators_say_is_let_through() -> None:
    check_hello(hello())
    without_address = hello()
    without_address.ClearField("address")
    check_hello(without_address)
    check_message(append())
    check_message(append((5, 2), (6, 3), (7, 3), committed_index=9))
    check_message(RaftMessage(term=1, heartbeat=Heartbeat()))
    check_snapshot(SnapshotHeader(term=3, index=7, last_term=3))


@pytest.mark.parametrize(
    "said",
    [
        RaftHello(),
        hello(cluster_id="short"),
        hello(cluster_id="C" * 21 + "\n"),
        hello(coordinator_id=-1),
        hello(coordinator_id=1),
        hello(directory_id=b"short"),
        hello(address="nowhere"),
        hello(address="two words:1"),
        hello(address="a" * 300 + ":1"),
    ],
)
def test_a_hello_that_does_not_say_who_speaks_is_refused(said: RaftHello) -> None:
    with pytest.raises(InvalidRequestError):
        check_hello(said)


@pytest.mark.parametrize(
    "message",
    [
        RaftMessage(term=1),
        RaftMessage(heartbeat=Heartbeat()),
        RaftMessage(term=2**64 - 1, heartbeat=Heartbeat()),
        RaftMessage(term=2, snapshot_received=SnapshotReceived(index=3, last_term=1)),
        append((6, 3)),
        append((5, 3), (7, 3)),
        append((5, 3), (6, 2)),
        append((5, 1)),
        append((5, 0)),
        append((5, 4)),
        append(committed_index=2**64 - 1),
    ],
)
def test_a_message_that_contradicts_itself_is_refused(message: RaftMessage) -> None:
    with pytest.raises(InvalidRequestError):
        check_message(message)


@pytest.mark.parametrize(
    "header",
    [
        SnapshotHeader(),
        SnapshotHeader(term=3, index=7, last_term=4),
        SnapshotHeader(term=3, last_term=3),
        SnapshotHeader(term=3, index=2**64 - 1, last_term=3),
    ],
)
def test_a_snapshot_of_no_possible_log_is_refused(header: SnapshotHeader) -> None:
    with pytest.raises(InvalidRequestError):
        check_snapshot(header)

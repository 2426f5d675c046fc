"""A response put together from pieces is what protobuf itself would have written."""

from __future__ import annotations

import pytest

from streamkeep_broker.services.slice_response import RESPONSE_BYTES, ResponseBuilder
from streamkeep_proto.v1.broker_pb2 import FetchedPartition, FetchResponse
from streamkeep_proto.v1.records_pb2 import LogSegment, RecordBatch
from streamkeep_proto.v1.replication_pb2 import FollowEnd, ReplicaPush, ReplicateResponse


def header(subscription: int = 1) -> FetchedPartition:
    return FetchedPartition(subscription=subscription, high_watermark=300, log_start_offset=5, leader_epoch=2)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2_097_152])
def test_a_slice_arrives_as_the_log_segment_it_is(size: int) -> None:
    segment = LogSegment(batches=[RecordBatch(base_offset=7, records=b"x" * size)])
    response = ResponseBuilder()
    response.add(header(), segment.SerializeToString())
    expected = header()
    expected.data.CopyFrom(segment)
    parsed = FetchResponse.FromString(response.finish())
    assert parsed == FetchResponse(partitions=[expected])


def test_many_partitions_and_the_warning_share_a_response() -> None:
    response = ResponseBuilder()
    for number in range(300):
        response.add(header(number))
    tail = FetchResponse(leadership_unconfirmed=True).SerializeToString()
    parsed = FetchResponse.FromString(response.finish(tail))
    assert [p.subscription for p in parsed.partitions] == list(range(300))
    assert parsed.leadership_unconfirmed


def test_nothing_is_a_heartbeat() -> None:
    assert FetchResponse.FromString(ResponseBuilder().finish()) == FetchResponse()


def test_news_without_data_has_no_segment() -> None:
    response = ResponseBuilder()
    response.add(header())
    parsed = FetchResponse.FromString(response.finish())
    assert not parsed.partitions[0].HasField("data")


def test_the_room_shrinks_as_slices_are_added() -> None:
    response = ResponseBuilder()
    response.add(header(), b"\0" * RESPONSE_BYTES)
    assert response.room_bytes <= 0


@pytest.mark.parametrize("size", [1, 127, 128, 2_097_152])
def test_a_push_to_a_follower_has_the_same_shape(size: int) -> None:
    frames = LogSegment(batches=[RecordBatch(base_offset=7, records=b"x" * size)]).SerializeToString()
    push = ReplicaPush(subscription=3, previous_end_offset=7, high_watermark=5, log_start_offset=1)
    ended = ReplicaPush(subscription=4, end=FollowEnd(behind=True))
    response = ResponseBuilder()
    response.add(push, frames)
    response.add(ended)
    push.frames = frames
    assert ReplicateResponse.FromString(response.finish()) == ReplicateResponse(pushes=[push, ended])

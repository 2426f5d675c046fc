"""Responses put together from their serialized pieces, so that log bytes are never re-encoded.

A protobuf message may be concatenated from its fields. FetchResponse and ReplicateResponse have one shape:
field 1 is repeated, and of each item field 15 is a slice of the log, a serialized LogSegment as it stands.
So an item here is its small fields as protobuf writes them, then field 15 with the slice.
"""

from __future__ import annotations

from streamkeep_proto.v1.broker_pb2 import FetchedPartition
from streamkeep_proto.v1.replication_pb2 import ReplicaPush

# One message carries about this much; the batch that crosses it is sent whole. Larger gains nothing.
RESPONSE_BYTES = 1024 * 1024

_ITEMS_TAG = b"\x0a"  # field 1, length-delimited: FetchResponse.partitions, ReplicateResponse.pushes
_SLICE_TAG = b"\x7a"  # field 15, length-delimited: FetchedPartition.data, ReplicaPush.frames


class ResponseBuilder:
    """Collects the items of one response."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size_bytes = 0

    @property
    def room_bytes(self) -> int:
        """What may still be added; zero or less when the response should be sent."""
        return RESPONSE_BYTES - self.size_bytes

    def add(self, item: FetchedPartition | ReplicaPush, data: bytes = b"") -> None:
        """Add one item; `data` is whole frames as they stand in the log, none if only news is told."""
        header = item.SerializeToString()
        if data:
            header += _SLICE_TAG + _varint(len(data))
        size = len(header) + len(data)
        self._pieces += (_ITEMS_TAG, _varint(size), header, data)
        self.size_bytes += size

    def finish(self, tail: bytes = b"") -> bytes:
        """The serialized response; with nothing added, a heartbeat. Nothing is kept of it here.

        `tail` is other fields of it, serialized.
        """
        pieces, self._pieces = self._pieces, []
        return b"".join((*pieces, tail))


def _varint(value: int) -> bytes:
    assert value >= 0
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

"""Fetch responses put together from their serialized pieces, so that log bytes are never re-encoded.

A protobuf message may be concatenated from its fields: a FetchedPartition here is its small fields as
protobuf writes them, then field 15 with the slice of the log, which is a serialized LogSegment as it stands.
"""

from __future__ import annotations

from streamkeep_proto.v1.broker_pb2 import FetchedPartition, FetchResponse

# One message carries about this much; the batch that crosses it is sent whole. Larger gains nothing.
RESPONSE_BYTES = 1024 * 1024

_PARTITIONS_TAG = b"\x0a"  # FetchResponse.partitions = 1, length-delimited
_DATA_TAG = b"\x7a"  # FetchedPartition.data = 15, length-delimited
_UNCONFIRMED = FetchResponse(leadership_unconfirmed=True).SerializeToString()


class ResponseBuilder:
    """Collects the partitions of one response."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size_bytes = 0

    @property
    def room_bytes(self) -> int:
        """What may still be added; zero or less when the response should be sent."""
        return RESPONSE_BYTES - self.size_bytes

    def add(self, partition: FetchedPartition, data: bytes = b"") -> None:
        """Add one partition; `data` is whole frames as they stand in the log, none if only news is told."""
        header = partition.SerializeToString()
        if data:
            header += _DATA_TAG + _varint(len(data))
        size = len(header) + len(data)
        self._pieces += (_PARTITIONS_TAG, _varint(size), header, data)
        self.size_bytes += size

    def finish(self, *, leadership_unconfirmed: bool) -> bytes:
        """The serialized FetchResponse; with nothing added, a heartbeat. Nothing is kept of it here."""
        pieces, self._pieces = self._pieces, []
        if leadership_unconfirmed:
            pieces.append(_UNCONFIRMED)
        return b"".join(pieces)


def _varint(value: int) -> bytes:
    assert value >= 0
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

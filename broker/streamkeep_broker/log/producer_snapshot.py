"""The `.snapshot` file: the states of all producers as of an offset, with a checksum. Pure."""

from __future__ import annotations

import struct

from crc32c import crc32c

from streamkeep_broker.log.producer_states import (
    REMEMBERED_BATCHES,
    ProducerState,
    ProducerStates,
    StoredBatch,
)

MAGIC = b"SKPS"
_HEADER = struct.Struct("<4sqII")  # magic, offset, producers, checksum of the rest
_SEALED = struct.Struct("<qI")
_PRODUCER = struct.Struct("<qiI")  # id, epoch, number of batches
_BATCH = struct.Struct("<iiqqq")


class BrokenSnapshotError(ValueError):
    """The file is torn, changed, or of another offset."""


def encode_snapshot(states: ProducerStates, offset: int) -> bytes:
    """The file that says what is known of producers from records below `offset`."""
    parts = []
    for producer_id, state in states.by_id.items():
        parts.append(_PRODUCER.pack(producer_id, state.epoch, len(state.batches)))
        parts += [_BATCH.pack(*batch) for batch in state.batches]
    body = b"".join(parts)
    checksum = crc32c(body, crc32c(_SEALED.pack(offset, len(states))))
    return _HEADER.pack(MAGIC, offset, len(states), checksum) + body


def decode_snapshot(data: bytes, offset: int) -> ProducerStates:
    """From the file named by `offset`. Raises BrokenSnapshotError."""
    if len(data) < _HEADER.size:
        raise BrokenSnapshotError("it is shorter than its header")
    magic, found_offset, producers, checksum = _HEADER.unpack_from(data)
    body = memoryview(data)[_HEADER.size :]
    if magic != MAGIC or found_offset != offset:
        raise BrokenSnapshotError(f"it is not the producer snapshot of offset {offset}")
    if crc32c(body, crc32c(_SEALED.pack(offset, producers))) != checksum:
        raise BrokenSnapshotError("it does not match its checksum")
    states = ProducerStates()
    position = 0
    for _ in range(producers):
        position = _restore_producer(states, body, position)
    if position != len(body):
        raise BrokenSnapshotError(f"{len(body) - position} bytes are left over")
    return states


def _restore_producer(states: ProducerStates, body: memoryview, position: int) -> int:
    try:
        producer_id, epoch, batches = _PRODUCER.unpack_from(body, position)
        position += _PRODUCER.size
        if not 1 <= batches <= REMEMBERED_BATCHES:
            raise BrokenSnapshotError(f"producer {producer_id} has {batches} batches")
        end: int = position + batches * _BATCH.size
        stored = [StoredBatch(*fields) for fields in _BATCH.iter_unpack(body[position:end])]
    except struct.error as error:
        raise BrokenSnapshotError("it ends within a producer") from error
    states.restore(producer_id, ProducerState(epoch, stored))
    return end

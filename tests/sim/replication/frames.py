"""Reads what a log has on its simulated disk, past every fault and without anybody noticing."""

from __future__ import annotations

import hashlib

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.errors import CorruptBatchError
from streamkeep_common.records.frame import unpack_header, verify_records
from tests.sim.disk import SimDisk
from tests.sim.replication.replica import Frame


class LogFiles:
    """The frames of one open log, as they come."""

    def __init__(self, log: PartitionLog, disk: SimDisk) -> None:
        self.log = log
        self.is_broken = False
        """A frame was not whole: what is behind it in its segment was not read."""
        self._disk = disk
        self._segment = -1
        self._position = 0

    def read_on(self) -> list[Frame]:
        """What was appended since the last time."""
        frames: list[Frame] = []
        for segment in self.log.segments:
            if segment.base_offset < self._segment:
                continue
            if segment.base_offset > self._segment:
                self._segment, self._position = segment.base_offset, 0
            if self._position < segment.size:
                content = self._disk.peek(segment.path, self._position, segment.size)
                self._position = segment.size
                self._unpack(content, frames)
        return frames

    def read_all(self) -> list[Frame]:
        """What it has now, from the first segment on."""
        self.is_broken = False
        self._segment, self._position = -1, 0
        return self.read_on()

    def _unpack(self, content: bytes, frames: list[Frame]) -> None:
        position = 0
        while position < len(content):
            try:
                header = unpack_header(content, position)
                frame = content[position : position + header.frame_bytes]
                verify_records(header, frame[-header.records_bytes :] if header.records_bytes else b"")
            except CorruptBatchError:
                self.is_broken = True
                break
            digest = hashlib.blake2b(frame, digest_size=12).digest()
            frames.append(Frame(header.base_offset, header.next_offset, header.leader_epoch, digest))
            position += len(frame)

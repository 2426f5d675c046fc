"""Why a data directory cannot be used. Each message says what to do; nothing is repaired in silence."""

from __future__ import annotations

from pathlib import Path

from streamkeep_common.errors import StreamkeepError
from streamkeep_proto.v1 import errors_pb2


class DataDirectoryError(StreamkeepError):
    """The directory is another's, is in use, or holds something that must not be guessed about."""

    code = errors_pb2.STORAGE_FAILED
    advice = "The coordinator does not start on a data_dir that it cannot trust."


class CorruptFileError(DataDirectoryError):
    """Data that was durable fails its checksum or is missing: a broken disk or a lost file."""

    advice = "Check the disk. What was there is kept; the other coordinators have what this one lacks."

    def __init__(self, path: Path, byte: int, reason: str) -> None:
        super().__init__(f"{path} is damaged at byte {byte}: {reason}")
        self.path = path
        self.byte = byte


class CannotRecoverError(DataDirectoryError):
    """This directory cannot become a cluster of its own."""

    advice = "Nothing was changed."

"""Who reads a partition along. Pure: it does not know what they read, or why."""

from __future__ import annotations

from typing import Protocol

from streamkeep_common.errors import StreamkeepError


class Reader(Protocol):
    """Someone who reads along and wants to know when there is more."""

    def moved(self) -> None:
        """The high watermark or the log start moved."""
        ...

    def ended(self, error: StreamkeepError) -> None:
        """This broker serves the partition no more; the reader has been removed."""
        ...

    def image_changed(self) -> None:
        """There is news of the partition that this broker leads, or of a broker with a replica of it."""
        ...


class Readers:
    """Those of one partition, in the order in which they came."""

    __slots__ = ("_readers",)

    def __init__(self) -> None:
        self._readers: dict[Reader, None] = {}

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, reader: Reader) -> None:
        """Tell it of every move from now on."""
        self._readers[reader] = None

    def remove(self, reader: Reader) -> None:
        """Nothing happens if it is not there."""
        self._readers.pop(reader, None)

    def end(self, error: StreamkeepError) -> None:
        """The partition is served no more: all get `error` and are gone."""
        readers, self._readers = self._readers, {}
        for reader in readers:
            reader.ended(error)

    def tell(self) -> None:
        """The high watermark or the log start moved."""
        for reader in self._readers:
            reader.moved()

    def tell_of_image(self) -> None:
        """There is news of the partition, or of a broker with a replica of it."""
        for reader in list(self._readers):
            reader.image_changed()

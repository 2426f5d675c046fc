"""Which leader epoch began at which offset (KIP-101): the ground for finding where two logs part. Pure.

The file is lines of text, each with its own checksum, and is only appended to while the log grows;
reading it assigns the epochs again in their order, and a later line overrules what it contradicts. Where
the log was cut, the reader forgets what spoke of the lost part and must write the file anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from crc32c import crc32c

MAX_FILE_BYTES = 16 << 20


class BrokenEpochsError(ValueError):
    """The file holds a line that nobody wrote so."""


class EpochStart(NamedTuple):
    """The first offset that a leader epoch may have written."""

    epoch: int
    start_offset: int


class EpochEnd(NamedTuple):
    """The offset after the last that a leader epoch may have written."""

    epoch: int
    end_offset: int


class LeaderEpochs:
    """Epochs with rising numbers and starts. Epochs begin at 1; 0 stands for none."""

    __slots__ = ("_starts", "_unsaved")

    def __init__(self) -> None:
        self._starts: list[EpochStart] = []
        self._unsaved: list[EpochStart] = []

    @property
    def latest(self) -> int:
        """The last epoch, 0 if there was none."""
        return self._starts[-1].epoch if self._starts else 0

    @property
    def starts(self) -> Sequence[EpochStart]:
        return self._starts

    def assign(self, epoch: int, start_offset: int) -> None:
        """The epoch writes from `start_offset` on. An epoch that wrote nothing before it is forgotten."""
        if epoch == self.latest:
            return
        assert epoch > self.latest, f"leader epoch {epoch} after {self.latest}"
        self._put(EpochStart(epoch, start_offset))
        self._unsaved.append(EpochStart(epoch, start_offset))

    def follow(self, epoch: int, offset: int) -> None:
        """The log has a record of the epoch at `offset`, whatever was assigned before.

        A leader's epoch that never wrote is overruled by what another leader wrote there. Offsets below the
        first start are of no interest any more.
        """
        if self.at(offset) == epoch or (self._starts and offset < self._starts[0].start_offset):
            return
        self._put(EpochStart(epoch, offset))
        self._unsaved.append(EpochStart(epoch, offset))

    def at(self, offset: int) -> int:
        """The epoch that a record at this offset was written under, 0 if that is not known."""
        number = bisect_right(self._starts, offset, key=_start_offset)
        return self._starts[number - 1].epoch if number else 0

    def end_offset(self, epoch: int, log_end_offset: int) -> EpochEnd | None:
        """The greatest known epoch up to `epoch`, and where it ended here; None if all known are later."""
        number = bisect_right(self._starts, epoch, key=_epoch)
        if not number:
            return None
        ended = self._starts[number].start_offset if number < len(self._starts) else log_end_offset
        return EpochEnd(self._starts[number - 1].epoch, ended)

    def end_of(self, epoch: int, *, log_start_offset: int, log_end_offset: int) -> EpochEnd:
        """As `end_offset`; if all known epochs are later, epoch 0 ends where the first of them begins."""
        known = self.end_offset(epoch, log_end_offset)
        if known is not None:
            return known
        first = self._starts[0].start_offset if self._starts else log_start_offset
        return EpochEnd(0, max(log_start_offset, first))

    def forget_before(self, log_start_offset: int) -> None:
        """Records below are gone; the epoch that reaches over the log start now begins there."""
        number = bisect_right(self._starts, log_start_offset, key=_start_offset)
        if number > 1:
            del self._starts[: number - 1]
        if number:
            self._starts[0] = EpochStart(self._starts[0].epoch, log_start_offset)

    def forget_after(self, log_end_offset: int) -> None:
        """Records from here on are gone. An epoch that begins just here stays: it has written nothing yet."""
        self._starts = [start for start in self._starts if start.start_offset <= log_end_offset]

    def encode(self) -> bytes:
        """A file that holds just these epochs."""
        return b"".join(map(_line, self._starts))

    def unsaved(self) -> bytes:
        """Lines to append to the file: what was assigned since `saved`."""
        return b"".join(map(_line, self._unsaved))

    def saved(self) -> None:
        """The unsaved lines are in the file."""
        self._unsaved.clear()

    @classmethod
    def decode(cls, data: bytes) -> LeaderEpochs:
        """From the file. A last line without its end is torn and was never promised to anyone; what else is
        wrong raises BrokenEpochsError.
        """
        if len(data) > MAX_FILE_BYTES:
            raise BrokenEpochsError(f"{len(data)} bytes are too many")
        epochs = cls()
        *lines, _torn = data.split(b"\n")
        for number, line in enumerate(lines, start=1):
            start = _parse(line + b"\n")
            if start is None:
                raise BrokenEpochsError(f"line {number} is damaged")
            epochs._put(start)
        return epochs

    def _put(self, start: EpochStart) -> None:
        starts = self._starts
        while starts and (starts[-1].start_offset >= start.start_offset or starts[-1].epoch > start.epoch):
            starts.pop()
        if not starts or starts[-1].epoch != start.epoch:
            starts.append(start)


def _line(start: EpochStart) -> bytes:
    text = b"%d %d" % start
    return b"%b %08x\n" % (text, crc32c(text))


def _parse(line: bytes) -> EpochStart | None:
    text, _, _ = line.rpartition(b" ")
    epoch, _, offset = text.partition(b" ")
    if not (epoch.isdigit() and offset.isdigit()):
        return None
    start = EpochStart(int(epoch), int(offset))
    return start if _line(start) == line else None


def _start_offset(start: EpochStart) -> int:
    return start.start_offset


def _epoch(start: EpochStart) -> int:
    return start.epoch

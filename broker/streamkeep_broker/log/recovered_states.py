"""What a log knows beside its frames: leader epochs and producers, from their files or from the frames."""

from __future__ import annotations

from pathlib import Path

from streamkeep_broker.log.files import LEADER_EPOCHS_NAME, SNAPSHOT_SUFFIX, Files, offset_path
from streamkeep_broker.log.leader_epochs import BrokenEpochsError, LeaderEpochs
from streamkeep_broker.log.producer_snapshot import BrokenSnapshotError, decode_snapshot
from streamkeep_broker.log.producer_states import ProducerStates
from streamkeep_common.records.frame import FrameHeader
from streamkeep_common.seams import Disk


class RecoveredStates:
    """Begins empty. What is read replaces what was there; frames are to be taken in by rising offset."""

    def __init__(self, disk: Disk, directory: Path, notes: list[str]) -> None:
        self._disk = disk
        self._directory = directory
        self._notes = notes
        self._producers_offset = 0
        self._epochs_file_is_whole = True
        self.epochs = LeaderEpochs()
        self.producers = ProducerStates()

    def read_epochs(self) -> bool:
        """False if no file has any: then the epochs are to be built again from the whole log."""
        path = self._directory / LEADER_EPOCHS_NAME
        self.epochs = LeaderEpochs()
        try:
            data = self._disk.read_file(path)
            self._epochs_file_is_whole = False
            self.epochs = LeaderEpochs.decode(data)
        except FileNotFoundError:
            return False
        except BrokenEpochsError as error:
            self._notes.append(f"{path}: {error}; built again from the log")
            return False
        self._epochs_file_is_whole = data[-1:] in (b"", b"\n")
        return bool(self.epochs.starts)

    def end_at(self, log_end_offset: int) -> None:
        """The log ends there, whatever the epochs' file says of records behind it."""
        known = len(self.epochs.starts)
        self.epochs.forget_after(log_end_offset)
        if len(self.epochs.starts) != known:
            self._epochs_file_is_whole = False

    def save_epochs(self, files: Files) -> None:
        """Make the file durable, anew if it is not whole or does not tell of just the epochs in the frames.

        A recovery point may stand above those frames soon, and then nobody would look at them again.
        """
        path = self._directory / LEADER_EPOCHS_NAME
        if self.epochs.unsaved() or not self._epochs_file_is_whole:
            self._disk.write_file(path, self.epochs.encode())
            self.epochs.saved()
        elif self.epochs.starts:
            file = files.open(path)
            file.sync()
            file.close()

    def read_snapshot(self, offset: int) -> bool:
        """False if there is no good snapshot of that offset; then no producer is known as of it."""
        path = offset_path(self._directory, offset, SNAPSHOT_SUFFIX)
        self.producers = ProducerStates()
        self._producers_offset = offset
        try:
            self.producers = decode_snapshot(self._disk.read_file(path), offset)
        except FileNotFoundError:
            return False
        except BrokenSnapshotError as error:
            self._notes.append(f"{path}: {error}; built again from the log")
            return False
        return True

    def take_in(self, header: FrameHeader) -> None:
        """The next frame of the log."""
        self.epochs.follow(header.leader_epoch, header.base_offset)
        if header.base_offset >= self._producers_offset:
            self.producers.take_in(header)

"""Whose this directory is: a lock against a second process, and the identity of cluster and coordinator.

A directory is *unformatted* until `format` writes the id of a cluster into it; before that nothing is
promised to others. Its `directory_id` is made with it and never taken over by another.

A directory that is damaged is given up as a whole (`quarantine`): its files move into `damaged-<n>` within
it, the identity first. So a crash on the way leaves a directory without identity, which is damaged, too, and
never one that goes by its old name with only a part of what it promised.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from random import Random

from streamkeep_common.limits import ID_BYTES
from streamkeep_common.seams import Disk, DiskLock, make_directories_durably
from streamkeep_coordinator.storage.errors import CorruptFileError, DataDirectoryError
from streamkeep_coordinator.storage.identity import (
    FORMAT,
    MAX_IDENTITY_BYTES,
    BadIdentityError,
    Identity,
    UnknownFormatError,
    pack_identity,
    unpack_identity,
)
from streamkeep_coordinator.storage.marks import MARKS, Mark, Marks
from streamkeep_coordinator.storage.upgrade import remove_unfinished_segment

IDENTITY = "identity.json"
LOCK = "lock"
_DAMAGED = "damaged-"
_REASON = "reason.txt"
_CONTENT = re.compile(r"(log-\d+\.wal|snapshot-[\d-]+\.snap|marks).*")
_KEPT = re.compile(rf"{LOCK}|lost\+found|{_DAMAGED}\d+")

__all__ = ["IDENTITY", "LOCK", "DataDirectory", "Identity"]


class DataDirectory:
    """One coordinator's directory. Hold it open for as long as anything in it is used."""

    def __init__(self, disk: Disk, path: Path, rng: Random) -> None:
        self._disk = disk
        self._rng = rng
        self._lock: DiskLock | None = None
        self._coordinator_id = 0
        self._identity: Identity | None = None
        self.path = path

    def open(self, coordinator_id: int) -> Identity:
        """Lock it and say whose it is; an empty directory gets an identity of its own, and is unformatted.

        CorruptFileError if files are damaged or missing; it stays locked then, for `quarantine`.
        DataDirectoryError if it is in use, another coordinator's, or not a coordinator's at all.
        """
        self._coordinator_id = coordinator_id
        try:
            self._identity = self._open()
        except CorruptFileError:
            raise
        except DataDirectoryError:
            self.close()
            raise
        except BlockingIOError:
            raise DataDirectoryError(
                f"{self.path} is in use by another coordinator process: stop it, or choose another data_dir"
            ) from None
        except OSError as error:
            self.close()
            raise DataDirectoryError(
                f"{self.path} cannot be used: {error.strerror}. Choose a data_dir that this user can write to"
            ) from error
        return self._identity

    def format(self, cluster_id: str, cluster_epoch: int) -> Identity:
        """It belongs to this cluster from now on. A first entry of the log is to be written before."""
        assert self._identity is not None, "it is not open"
        assert not self._identity.cluster_id, f"it belongs to {self._identity.cluster_id}"
        marks = Marks(self._disk, self.path)
        if not marks.exist():
            marks.replace(Mark())
        return self._write(replace(self._identity, cluster_id=cluster_id, cluster_epoch=cluster_epoch))

    def begin_epoch(self, cluster_epoch: int) -> Identity:
        """The cluster was recovered by force; members of an older epoch are strangers."""
        assert self._identity is not None, "it is not open"
        assert cluster_epoch > self._identity.cluster_epoch > 0, f"epoch {cluster_epoch}"
        return self._write(replace(self._identity, cluster_epoch=cluster_epoch))

    def quarantine(self, reason: str) -> Identity:
        """Move all there is into `damaged-<n>`, with the reason; go on unformatted, as another directory."""
        assert self._lock is not None, "it is not locked"
        names = [name for name in self._disk.list_directory(self.path) if not _KEPT.fullmatch(name)]
        target = self._new_damaged_directory(reason)
        for name in sorted(names, key=lambda name: not name.startswith(IDENTITY)):
            self._disk.rename(self.path / name, target / name)
            self._disk.sync_directory(target)
            self._disk.sync_directory(self.path)
        return self._make()

    def close(self) -> None:
        """Let another process have it."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _open(self) -> Identity:
        make_directories_durably(self._disk, self.path)
        self._lock = self._disk.lock(self.path / LOCK)
        self._disk.sync_directory(self.path)  # a rename may have been seen before it was durable
        names = self._disk.list_directory(self.path)
        if IDENTITY not in names:
            self._check_empty(names)
            return self._make()
        identity = self._read()
        if identity.coordinator_id != self._coordinator_id:
            raise DataDirectoryError(
                f"{self.path} belongs to coordinator {identity.coordinator_id}, and this is coordinator "
                f"{self._coordinator_id}: give each its own data_dir"
            )
        if identity.format < FORMAT:
            return self._upgrade(identity)
        self._check_content(identity, names)
        return identity

    def _read(self) -> Identity:
        path = self.path / IDENTITY
        if self._disk.file_size(path) > MAX_IDENTITY_BYTES:
            raise CorruptFileError(path, MAX_IDENTITY_BYTES, "it is longer than it can be")
        try:
            return unpack_identity(self._disk.read_file(path))
        except BadIdentityError as error:
            raise CorruptFileError(path, 0, str(error)) from None
        except UnknownFormatError as error:
            raise DataDirectoryError(f"{path} is another version's: {error}") from None

    def _check_empty(self, names: list[str]) -> None:
        """Nothing is there, or a coordinator's files without their identity, or a stranger's."""
        present = [name for name in names if not _KEPT.fullmatch(name) and name != f"{IDENTITY}.tmp"]
        content = [name for name in present if _CONTENT.fullmatch(name)]
        if content:
            raise CorruptFileError(self.path / IDENTITY, 0, f"it is missing, and {content[0]} is there")
        if present:
            raise DataDirectoryError(
                f"{self.path} holds {present[0]} but no {IDENTITY}: choose an empty directory"
            )

    def _check_content(self, identity: Identity, names: list[str]) -> None:
        """A cluster's directory has marks, and one of no cluster has no log."""
        if identity.cluster_id:
            if MARKS not in names:
                raise CorruptFileError(self.path / MARKS, 0, "it is missing")
            return
        content = [name for name in names if _CONTENT.fullmatch(name) and not name.startswith(MARKS)]
        if content:
            raise CorruptFileError(
                self.path / content[0],
                0,
                "the directory belongs to no cluster; the birth of one was interrupted",
            )

    def _upgrade(self, identity: Identity) -> Identity:
        """From format 1. The identity is written last: a crash before that lets it begin again."""
        remove_unfinished_segment(self._disk, self.path)
        Marks(self._disk, self.path).replace(Mark())
        directory_id = self._rng.randbytes(ID_BYTES)
        return self._write(replace(identity, directory_id=directory_id, format=FORMAT))

    def _make(self) -> Identity:
        return self._write(Identity(self._coordinator_id, self._rng.randbytes(ID_BYTES)))

    def _write(self, identity: Identity) -> Identity:
        self._disk.write_file(self.path / IDENTITY, pack_identity(identity))
        self._identity = identity
        return identity

    def _new_damaged_directory(self, reason: str) -> Path:
        names = self._disk.list_directory(self.path)
        number = 1 + sum(name.startswith(_DAMAGED) for name in names)
        while f"{_DAMAGED}{number}" in names:
            number += 1
        path = self.path / f"{_DAMAGED}{number}"
        make_directories_durably(self._disk, path)
        self._disk.write_file(path / _REASON, reason.encode() + b"\n")
        return path

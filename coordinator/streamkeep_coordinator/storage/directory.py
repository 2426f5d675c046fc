"""Whose directory this is: a lock against a second process, and the identity of cluster and coordinator."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from streamkeep_common.seams import Disk, DiskLock, make_directories_durably
from streamkeep_coordinator.storage.errors import DataDirectoryError

_FORMAT = 1
_IDENTITY = "identity.json"
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Identity:
    """What the directory belongs to; written once, when it is first used."""

    cluster_id: str
    coordinator_id: int
    format: int = _FORMAT


class DataDirectory:
    """One coordinator's directory. Hold it open for as long as anything in it is used."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self.path = path
        self._lock: DiskLock | None = None

    def open(self, coordinator_id: int, new_cluster_id: str) -> Identity:
        """Lock it and say whose it is; an empty directory becomes that of a new cluster with the given id.

        DataDirectoryError if it is in use, another coordinator's, or not a coordinator's at all.
        """
        try:
            return self._open(coordinator_id, new_cluster_id)
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

    def close(self) -> None:
        """Let another process have it."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _open(self, coordinator_id: int, new_cluster_id: str) -> Identity:
        make_directories_durably(self._disk, self.path)
        self._lock = self._disk.lock(self.path / _LOCK)
        identity = self._read_identity() or self._write_identity(new_cluster_id, coordinator_id)
        if identity.coordinator_id != coordinator_id:
            raise DataDirectoryError(
                f"{self.path} belongs to coordinator {identity.coordinator_id}, and this is coordinator "
                f"{coordinator_id}: give each its own data_dir"
            )
        return identity

    def _read_identity(self) -> Identity | None:
        path = self.path / _IDENTITY
        if not self._disk.exists(path):
            return None
        try:
            identity = Identity(**json.loads(self._disk.read_file(path)))
        except (ValueError, TypeError):
            raise DataDirectoryError(f"{path} is damaged: restore it from a copy") from None
        if identity.format != _FORMAT:
            raise DataDirectoryError(f"{path} has format {identity.format}; this version knows {_FORMAT}")
        return identity

    def _write_identity(self, cluster_id: str, coordinator_id: int) -> Identity:
        present = [name for name in self._disk.list_directory(self.path) if not self._is_ours(name)]
        if present:
            raise DataDirectoryError(
                f"{self.path} holds {present[0]} but no {_IDENTITY}: choose an empty directory, "
                "or restore the file"
            )
        identity = Identity(cluster_id, coordinator_id)
        self._disk.write_file(self.path / _IDENTITY, json.dumps(asdict(identity)).encode())
        return identity

    def _is_ours(self, name: str) -> bool:
        return name in (_LOCK, f"{_IDENTITY}.tmp", "lost+found")

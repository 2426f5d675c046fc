"""Whose a log directory is, and how it was left. Blocking: runs on a worker.

A claimed directory is locked, has an identity file (its own id, broker, cluster, the machine's boot id)
and no clean-shutdown marker: that one says that everything was flushed when the last process stopped, so
it is removed before anything is written. Knows nothing of the logs inside.
"""

from __future__ import annotations

import errno
import logging
import random
from dataclasses import dataclass, replace
from pathlib import Path

from streamkeep_broker.log.files import OUT_OF_SPACE
from streamkeep_broker.log.sealed_text import BrokenSealError, seal, unseal
from streamkeep_common.errors import ClusterMismatchError, StreamkeepError
from streamkeep_common.limits import ID_BYTES
from streamkeep_common.seams import Disk, DiskLock, make_directories_durably
from streamkeep_proto.v1 import errors_pb2

LOCK_NAME = "lock"
IDENTITY_NAME = "identity"
CLEAN_NAME = "clean-shutdown"
BOOT_ID_PATH = Path("/proc/sys/kernel/random/boot_id")

_TITLE = "streamkeep log directory 1"
# What may lie in a directory that is to become a log directory: the file system's own, and what a
# first start leaves behind that was cut off before the identity stood.
_HARMLESS = frozenset({"lost+found", LOCK_NAME, f"{IDENTITY_NAME}.tmp"})
_NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)

_logger = logging.getLogger(__name__)


class DirectoryRefusedError(StreamkeepError):
    """The broker must not start on this directory; the message says why and what to do."""

    code = errors_pb2.STORAGE_FAILED
    advice = ""

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity file. `cluster_id` is empty until the broker first registered with a cluster;
    `cluster_epoch` is the newest of that cluster that it has seen, 0 = none; `boot_id` is of the machine's
    start in which its logs were opened last."""

    directory_id: bytes
    broker_id: int
    cluster_id: str
    boot_id: str
    cluster_epoch: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """A directory that this process holds."""

    identity: Identity
    lock: DiskLock
    is_new: bool
    was_stopped_cleanly: bool
    same_boot: bool
    """The machine has not been started since all logs of the directory were opened last (see
    `note_opened`): what was written to them since is in its page cache, or on disk."""


def claim(disk: Disk, path: Path, *, broker_id: int, rng: random.Random) -> Claim:
    """Lock the directory and take it over, making it if it is missing.

    Raises DirectoryRefusedError when a person must decide, and OSError when the disk fails.
    """
    try:
        make_directories_durably(disk, path)
        lock = disk.lock(path / LOCK_NAME)
    except BlockingIOError as error:
        raise DirectoryRefusedError(
            f"The log directory {path} is in use by another process. Stop that broker, or give this one "
            "a directory of its own."
        ) from error
    except OSError as error:
        raise _refusal_or(error, path) from error
    try:
        return _take_over(disk, path, lock, broker_id, rng)
    except OSError as error:
        lock.release()
        raise _refusal_or(error, path) from error
    except StreamkeepError:
        lock.release()
        raise


def bind_to_cluster(
    disk: Disk, path: Path, identity: Identity, cluster_id: str, cluster_epoch: int
) -> Identity:
    """Say for ever which cluster the directory belongs to, and that it has seen this epoch of it.

    Raises ClusterMismatchError, OSError.
    """
    if identity.cluster_id not in ("", cluster_id):
        raise ClusterMismatchError(
            f"The log directory {path} belongs to cluster {identity.cluster_id}, not to {cluster_id}"
        )
    if identity.cluster_id == cluster_id and identity.cluster_epoch >= cluster_epoch:
        return identity
    bound = replace(identity, cluster_id=cluster_id, cluster_epoch=cluster_epoch)
    try:
        _write(disk, path, bound)
    except OSError as error:
        if not identity.cluster_id or error.errno not in OUT_OF_SPACE:
            raise
        # This process knows the epoch all the same; a full disk must not keep a broker from its cluster.
        _logger.warning("%s is full: that the cluster is at epoch %d was not written", path, cluster_epoch)
        return identity
    return bound


def note_opened(disk: Disk, path: Path, identity: Identity) -> Identity:
    """Say that every log of the directory was opened since the machine was started, and so has no torn end.

    Not before: a start that is cut off leaves torn ends behind, which the next one must take for such.
    Raises OSError.
    """
    opened = replace(identity, boot_id=read_boot_id(disk))
    if opened == identity:
        return identity
    try:
        _write(disk, path, opened)
    except OSError as error:
        if error.errno not in OUT_OF_SPACE:
            raise
        # The next start thinks that the machine was started in between, and takes the end of a log for torn
        # sooner; a full disk must not keep a broker from serving what it has.
        _logger.warning("%s is full: the boot id was not written", path)
        return identity
    return opened


def mark_clean(disk: Disk, path: Path) -> None:
    """Say that everything in the directory is flushed and checkpointed. Raises OSError."""
    disk.write_file(path / CLEAN_NAME, seal([CLEAN_NAME]))


def read_boot_id(disk: Disk) -> str:
    """The id of this start of the machine, or empty where the system has none."""
    try:
        return disk.read_file(BOOT_ID_PATH).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _take_over(disk: Disk, path: Path, lock: DiskLock, broker_id: int, rng: random.Random) -> Claim:
    boot_id = read_boot_id(disk)
    found = _read(disk, path)
    if found is None:
        _check_empty(disk, path)
        new = Identity(rng.randbytes(ID_BYTES), broker_id, cluster_id="", boot_id=boot_id)
        _write(disk, path, new)
        disk.sync_directory(path.parent)
        return Claim(new, lock, is_new=True, was_stopped_cleanly=True, same_boot=True)
    if found.broker_id != broker_id:
        raise DirectoryRefusedError(
            f"The log directory {path} belongs to broker {found.broker_id}, and this is broker {broker_id}. "
            f"Start it with id {found.broker_id}, or give this broker a directory of its own."
        )
    return Claim(
        identity=found,
        lock=lock,
        is_new=False,
        was_stopped_cleanly=_take_clean_marker(disk, path),
        same_boot=bool(boot_id) and found.boot_id == boot_id,
    )


def _take_clean_marker(disk: Disk, path: Path) -> bool:
    marker = path / CLEAN_NAME
    if not disk.exists(marker):
        return False
    try:
        was_clean = unseal(disk.read_file(marker)) == [CLEAN_NAME]
    except BrokenSealError:
        was_clean = False
    disk.remove_file(marker)
    disk.sync_directory(path)
    return was_clean


def _check_empty(disk: Disk, path: Path) -> None:
    strangers = [name for name in disk.list_directory(path) if name not in _HARMLESS]
    if strangers:
        raise DirectoryRefusedError(
            f"{path} holds files ({strangers[0]!r} and so on) but no {IDENTITY_NAME!r} file, so it is not a "
            "log directory. Name an empty directory, or restore that file if it got lost."
        )


def _read(disk: Disk, path: Path) -> Identity | None:
    try:
        data = disk.read_file(path / IDENTITY_NAME)
    except FileNotFoundError:
        return None
    try:
        return _parse(unseal(data))
    except ValueError as error:
        raise DirectoryRefusedError(
            f"{path / IDENTITY_NAME} is damaged: {error}. Restore it from a copy, or if the directory's "
            "partitions have other replicas, empty the directory and let them be copied again."
        ) from error


def _parse(lines: list[str]) -> Identity:
    title, *rest = lines
    if title != _TITLE:
        raise BrokenSealError(f"its first line is not {_TITLE!r}")
    fields = dict(line.split(" ", 1) for line in rest)
    try:
        return Identity(
            directory_id=bytes.fromhex(fields["directory_id"]),
            broker_id=int(fields["broker_id"]),
            cluster_id=fields["cluster_id"],
            boot_id=fields["boot_id"],
            cluster_epoch=int(fields.get("cluster_epoch", "0")),
        )
    except KeyError as error:
        raise BrokenSealError(f"it has no {error}") from error


def _write(disk: Disk, path: Path, identity: Identity) -> None:
    lines = [
        _TITLE,
        f"directory_id {identity.directory_id.hex()}",
        f"broker_id {identity.broker_id}",
        f"cluster_id {identity.cluster_id}",
        f"boot_id {identity.boot_id}",
        f"cluster_epoch {identity.cluster_epoch}",
    ]
    disk.write_file(path / IDENTITY_NAME, seal(lines))


def _refusal_or(error: OSError, path: Path) -> OSError | DirectoryRefusedError:
    """A disk that fails is one thing, a directory that was never usable is a mistake to be told."""
    if error.errno in _NO_ACCESS:
        return DirectoryRefusedError(
            f"The log directory {path} cannot be written: {error.strerror}. Let the broker's user write "
            "there, or name another directory."
        )
    if error.errno in OUT_OF_SPACE:
        return DirectoryRefusedError(
            f"The log directory {path} is too full to be set up. Free some space, or name another directory."
        )
    return error

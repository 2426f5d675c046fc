"""How the log directories are taken over when a broker starts: claimed, measured, their logs opened."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from streamkeep_broker.log.checkpoints import BEGINNING, FILE_NAME, Checkpoint, read_checkpoints
from streamkeep_broker.log.directory import LogDirectory
from streamkeep_broker.log.file_cache import OUT_OF_DESCRIPTORS
from streamkeep_broker.log.files import OUT_OF_SPACE
from streamkeep_broker.log.identity import (
    CLEAN_NAME,
    IDENTITY_NAME,
    LOCK_NAME,
    Claim,
    DirectoryRefusedError,
    claim,
)
from streamkeep_broker.log.partition_name import (
    DAMAGED_SUFFIX,
    DELETED_SUFFIX,
    MISPLACED_SUFFIX,
    PartitionName,
    parse_directory_name,
)
from streamkeep_broker.log.recovery import RecoveredLog
from streamkeep_broker.log.sealed_text import BrokenSealError
from streamkeep_common.errors import StorageFailedError
from streamkeep_common.seams import Disk, FileSystem, Workers

RECOVERY_WORKERS_PER_DIRECTORY = 2
"""Scanning is mostly checksums in C and waiting for the disk, so a few threads help."""

_OTHER_NAMES = frozenset({IDENTITY_NAME, LOCK_NAME, CLEAN_NAME, FILE_NAME, "lost+found"})

_logger = logging.getLogger(__name__)


class Held(NamedTuple):
    """A directory that was claimed, and its file system."""

    directory: LogDirectory
    claim: Claim
    file_system: FileSystem


Recover = Callable[[Path, Checkpoint], RecoveredLog]
"""Recovers the log in a directory. Blocking."""


async def claim_directories(
    directories: Sequence[LogDirectory], *, disk: Disk, workers: Workers, broker_id: int, rng: random.Random
) -> list[Held]:
    """Claim all that can be; one whose disk fails becomes OFFLINE, and the broker goes on without it.

    Raises DirectoryRefusedError if one is not to be used, StorageFailedError if none is left; then
    nothing is held.
    """
    worker = workers.start("claim")
    held: list[Held] = []
    try:
        for directory in directories:
            take = partial(_claim, directory, disk=disk, broker_id=broker_id, rng=rng)
            try:
                held.append(await worker.run(take))
            except OSError as error:
                directory.failed("Claiming", error)
                _logger.error("%s", directory.reason)
        _check_together(directories, held)
    except BaseException:
        for one in held:
            one.claim.lock.release()
            one.file_system.close()
        raise
    finally:
        await worker.close()
    return held


def _claim(directory: LogDirectory, *, disk: Disk, broker_id: int, rng: random.Random) -> Held:
    claimed = claim(disk, directory.path, broker_id=broker_id, rng=rng)
    try:
        return Held(directory, claimed, disk.file_system(directory.path))
    except OSError:
        claimed.lock.release()
        raise


def _check_together(directories: Sequence[LogDirectory], held: Sequence[Held]) -> None:
    if not held:
        raise StorageFailedError("; ".join(directory.reason for directory in directories))
    owners = {one.claim.identity.cluster_id: one.directory.path for one in held}
    owners.pop("", None)
    if len(owners) > 1:
        said = " and ".join(f"{path} to cluster {cluster_id}" for cluster_id, path in owners.items())
        raise DirectoryRefusedError(
            f"The log directories belong to different clusters: {said}. Name only the ones of the cluster "
            "that this broker is part of."
        )


class FoundLog(NamedTuple):
    """A log's directory: whose it is, and what may be relied on."""

    name: PartitionName
    checkpoint: Checkpoint


class Found(NamedTuple):
    """What lies in a log directory. Logs are by the names of their directories."""

    logs: dict[str, FoundLog]
    deleted: list[str]
    checkpoints: dict[str, Checkpoint]


class Recovered(NamedTuple):
    """Logs by the names of their directories; in `refused` those that lacked room, or file descriptors, to be
    put right, and are as good as they were."""

    logs: dict[str, RecoveredLog]
    refused: dict[str, OSError]


def look_into(disk: Disk, path: Path) -> Found:
    """List a log directory and read its checkpoints. Blocking. Raises OSError."""
    found = Found({}, [], _checkpoints(disk, path))
    for name in disk.list_directory(path):
        if name.endswith(DELETED_SUFFIX):
            found.deleted.append(name)
        elif name.endswith((DAMAGED_SUFFIX, MISPLACED_SUFFIX)):
            why = name.rpartition(".")[2]
            _logger.warning("%s holds what is kept as %s: look at it, then remove it", path / name, why)
        elif (parsed := parse_directory_name(name)) is not None:
            found.logs[name] = FoundLog(parsed, found.checkpoints.get(name, BEGINNING))
        elif name not in _OTHER_NAMES and not name.endswith(".tmp"):
            _logger.warning("%s is not the directory of a log; it is left alone", path / name)
    return found


def _checkpoints(disk: Disk, path: Path) -> dict[str, Checkpoint]:
    try:
        return read_checkpoints(disk, path)
    except BrokenSealError as error:
        # All logs are scanned from their beginning, which finds everything but the moved log starts.
        _logger.error("%s is damaged (%s): every log is scanned", path / FILE_NAME, error)
        return {}


async def recover_logs(
    path: Path, logs: Mapping[str, FoundLog], *, recover: Recover, workers: Workers
) -> Recovered:
    """Recover logs of a directory, a few at a time. Raises OSError."""
    names = list(logs)
    crew = [workers.start(f"recover-{number}") for number in range(RECOVERY_WORKERS_PER_DIRECTORY)]

    given_up = False

    def recover_share(share: Sequence[str]) -> Recovered:
        done = Recovered({}, {})
        for name in share:
            if given_up:
                break
            try:
                done.logs[name] = recover(path / name, logs[name].checkpoint)
            except OSError as error:
                if error.errno not in (*OUT_OF_SPACE, *OUT_OF_DESCRIPTORS):
                    raise
                done.refused[name] = error
        return done

    try:
        shares = [
            worker.run(partial(recover_share, names[number :: len(crew)]))
            for number, worker in enumerate(crew)
        ]
        done = await asyncio.gather(*shares)
    finally:
        given_up = True
        for worker in crew:
            await worker.close()
    recovered = {name: log for share in done for name, log in share.logs.items()}
    refused = {name: error for share in done for name, error in share.refused.items()}
    return Recovered({name: recovered[name] for name in names if name in recovered}, refused)

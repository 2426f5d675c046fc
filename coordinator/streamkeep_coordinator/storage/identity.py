"""Whose a data directory is, as the file `identity.json` says it. Pure.

Format 2 has format, coordinator_id, directory_id, cluster_id, cluster_epoch, and a checksum: the CRC-32C of
the others as canonical JSON. So a damaged identity is noticed before anything in it is believed; every later
format keeps that. Format 1 had cluster_id, coordinator_id and format only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from crc32c import crc32c

from streamkeep_common.limits import ID_BYTES

FORMAT = 2
MAX_IDENTITY_BYTES = 4096


class BadIdentityError(Exception):
    """This is no identity, or a damaged one; the message says why."""


class UnknownFormatError(Exception):
    """Another version's identity."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the directory belongs to. An empty `cluster_id`: it is *unformatted*, of no cluster yet."""

    coordinator_id: int
    directory_id: bytes
    cluster_id: str = ""
    cluster_epoch: int = 0
    format: int = FORMAT


def pack_identity(identity: Identity) -> bytes:
    """The file's bytes."""
    fields = {
        "format": identity.format,
        "coordinator_id": identity.coordinator_id,
        "directory_id": identity.directory_id.hex(),
        "cluster_id": identity.cluster_id,
        "cluster_epoch": identity.cluster_epoch,
    }
    return json.dumps(fields | {"checksum": _checksum(fields)}, indent=2).encode() + b"\n"


def unpack_identity(data: bytes) -> Identity:
    """What the file says. BadIdentityError, UnknownFormatError."""
    try:
        fields = json.loads(data)
        checksum = fields.pop("checksum", None)
        if checksum is None and set(fields) == {"cluster_id", "coordinator_id", "format"}:
            return _first_format(fields)
        if checksum != _checksum(fields):
            raise BadIdentityError("its checksum does not match")
        if fields["format"] != FORMAT:
            raise UnknownFormatError(f"it has format {fields['format']}; this version knows 1 to {FORMAT}")
        return _identity(fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadIdentityError("it cannot be read") from None


def _identity(fields: dict[str, object]) -> Identity:
    directory_id = bytes.fromhex(str(fields["directory_id"]))
    coordinator_id, epoch = fields["coordinator_id"], fields["cluster_epoch"]
    if len(directory_id) != ID_BYTES or not isinstance(coordinator_id, int) or not isinstance(epoch, int):
        raise BadIdentityError("it cannot be read")
    return Identity(coordinator_id, directory_id, str(fields["cluster_id"]), epoch)


def _first_format(fields: dict[str, object]) -> Identity:
    """It has no directory id yet."""
    if fields["format"] != 1:
        raise BadIdentityError("it has no checksum")
    cluster_id, coordinator_id = fields["cluster_id"], fields["coordinator_id"]
    if not isinstance(cluster_id, str) or not cluster_id or not isinstance(coordinator_id, int):
        raise BadIdentityError("it cannot be read")
    return Identity(coordinator_id, b"", cluster_id, 1, format=1)


def _checksum(fields: dict[str, object]) -> str:
    return f"{crc32c(json.dumps(fields, sort_keys=True).encode()):08x}"

from __future__ import annotations

import json

import pytest

from streamkeep_coordinator.storage.identity import (
    BadIdentityError,
    Identity,
    UnknownFormatError,
    pack_identity,
    unpack_identity,
)

IDENTITY = Identity(3, bytes(range(16)), "c" * 22, 2)


def test_an_identity_is_read_as_it_was_written() -> None:
    assert unpack_identity(pack_identity(IDENTITY)) == IDENTITY


def test_no_flipped_bit_makes_another_identity() -> None:
    data = pack_identity(IDENTITY)
    for byte in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[byte] ^= 1 << bit
            try:
                found = unpack_identity(bytes(flipped))
            except BadIdentityError:
                continue
            assert found == IDENTITY, (byte, bit)  # white space


def test_an_identity_cut_short_is_none() -> None:
    data = pack_identity(IDENTITY)
    for size in range(len(data) - 1):
        with pytest.raises(BadIdentityError):
            unpack_identity(data[:size])


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"7", b'{"cluster_id": "x"}', b"\xff\xfe", b"null", b"[" * 4_000]
)
def test_what_is_no_identity_is_refused(content: bytes) -> None:
    with pytest.raises(BadIdentityError):
        unpack_identity(content)


def test_the_first_format_is_read_and_has_no_directory_id() -> None:
    old = {"cluster_id": "c" * 22, "coordinator_id": 1, "format": 1}
    assert unpack_identity(json.dumps(old).encode()) == Identity(1, b"", "c" * 22, 1, format=1)


def test_the_format_of_a_later_version_is_told_from_damage() -> None:
    with pytest.raises(UnknownFormatError, match="format 3; this version knows 1 to 2"):
        unpack_identity(pack_identity(Identity(1, bytes(16), format=3)))

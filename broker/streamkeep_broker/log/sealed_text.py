"""Small text files that can tell whether they are whole: lines, and below them their CRC-32C.

They are text so that a person can read them with `cat`.
"""

from __future__ import annotations

import crc32c

MAX_BYTES = 64 << 20


class BrokenSealError(ValueError):
    """The text is not what was written."""


def seal(lines: list[str]) -> bytes:
    """The file for these lines, none of which may hold a line break."""
    body = "".join(f"{line}\n" for line in lines).encode()
    return body + f"crc32c {crc32c.crc32c(body):08x}\n".encode()


def unseal(data: bytes) -> list[str]:
    """The lines of a file made by `seal`. Raises BrokenSealError."""
    if len(data) > MAX_BYTES:
        raise BrokenSealError(f"{len(data)} bytes are too many")
    start = data.rfind(b"crc32c ")
    body = data[: max(start, 0)]
    if start < 0 or data[start:] != f"crc32c {crc32c.crc32c(body):08x}\n".encode():
        raise BrokenSealError("its checksum does not match its contents")
    try:
        return body.decode().splitlines()
    except UnicodeDecodeError as error:
        raise BrokenSealError("it is not UTF-8") from error

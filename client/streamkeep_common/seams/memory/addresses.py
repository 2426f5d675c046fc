"""Addresses by which clients find what is served within their own process.

They look like any host:port, so that a program under test takes them where it takes others. No name server
ever knows them: `.in-process` is no domain.
"""

from __future__ import annotations

from typing import Final

DOMAIN: Final = ".in-process"


def is_in_process(address: str) -> bool:
    """Whether a host:port is to be found in this process, and not by a name server."""
    return address.rpartition(":")[0].endswith(DOMAIN)

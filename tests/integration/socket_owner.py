"""Which process holds the other end of a TCP connection of the loopback (Linux).

The kernel is asked for that one socket (sock_diag(7)): to list them all in /proc/net/tcp takes milliseconds.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_LOOPBACK = socket.inet_aton("127.0.0.1").ljust(16, b"\0")
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=BBBxI")  # struct inet_diag_req_v2 up to its id
_INODE_OFFSET = _HEADER.size + 68  # in struct inet_diag_msg
_ANY_COOKIE = b"\xff" * 8


def owner_of(local_port: int, remote_port: int, pids: Iterable[int]) -> int | None:
    """Which of these processes has the socket with that local port, connected to that remote port."""
    target = f"socket:[{_inode(local_port, remote_port)}]"
    return next((pid for pid in pids if target in _descriptors(pid)), None)


def _inode(local_port: int, remote_port: int) -> int:
    ports = struct.pack("!HH", local_port, remote_port)
    socket_id = ports + _LOOPBACK + _LOOPBACK + struct.pack("=I", 0) + _ANY_COOKIE
    body = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFF_FFFF) + socket_id
    header = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.sendto(header + body, (0, 0))
        answer = netlink.recv(4096)
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return 0  # it is closed already
    inode: int = struct.unpack_from("=I", answer, _INODE_OFFSET)[0]
    return inode


def _descriptors(pid: int) -> list[str]:
    found = []
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.append(str(Path(entry.path).readlink()))
    return found

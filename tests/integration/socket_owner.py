"""Which process holds the other end of a TCP connection of the loopback (Linux).

The kernel is asked for that one socket (sock_diag(7)): to list them all in /proc/net/tcp takes milliseconds.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import chain

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_LOOPBACK = socket.inet_aton("127.0.0.1").ljust(16, b"\0")
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=BBBxI")  # struct inet_diag_req_v2 up to its id
_INODE_OFFSET = _HEADER.size + 68  # in struct inet_diag_msg
_ANY_COOKIE = b"\xff" * 8
_REMEMBERED = 64


class SocketOwners:
    """Finds owners, those who dial again and again soonest: the system gives them the same descriptor."""

    def __init__(self) -> None:
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        self._recent: dict[tuple[int, str], None] = {}
        """Process and descriptor, where a socket was found, the latest last."""

    def owner_of(self, local_port: int, remote_port: int, pids: Collection[int]) -> int | None:
        """Which of these processes has the socket with that local port, connected to that remote port.

        None if it is closed, or is of another process.
        """
        inode = self._inode(local_port, remote_port)
        if not inode:
            return None
        target = f"socket:[{inode}]"
        for pid, name in chain(list(reversed(self._recent)), _descriptors(pids)):
            if pid in pids and _points_to(pid, name, target):
                self._remember(pid, name)
                return pid
        return None

    def close(self) -> None:
        self._netlink.close()

    def _inode(self, local_port: int, remote_port: int) -> int:
        """0 if it is closed already."""
        ports = struct.pack("!HH", local_port, remote_port)
        socket_id = ports + _LOOPBACK + _LOOPBACK + struct.pack("=I", 0) + _ANY_COOKIE
        body = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFF_FFFF) + socket_id
        header = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
        self._netlink.sendto(header + body, (0, 0))
        answer = self._netlink.recv(4096)
        if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
            return 0
        inode: int = struct.unpack_from("=I", answer, _INODE_OFFSET)[0]
        return inode

    def _remember(self, pid: int, name: str) -> None:
        self._recent.pop((pid, name), None)
        self._recent[pid, name] = None
        if len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]


def _descriptors(pids: Iterable[int]) -> Iterator[tuple[int, str]]:
    for pid in pids:
        with suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - hundreds, for each connection
                yield pid, name


def _points_to(pid: int, name: str, target: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/fd/{name}") == target  # noqa: PTH115
    except OSError:
        return False

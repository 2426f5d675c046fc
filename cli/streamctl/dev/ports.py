"""Free ports for a cluster whose members have to know each other's addresses before they start, and for good.

A port below the range from which the system serves outgoing connections is not taken by chance; whom it is
drawn for keeps it. Somebody may still be quicker between the look and the start: then another is drawn.
"""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path

from streamctl.dev.plan import ClusterPlan, ServerPlan

_OUTGOING_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
"""Below it are the ports that well-known programs like."""
_ENOUGH = 2_000
_ANY = range(20_000, 60_000)
_MAX_DRAWS = 1_000


def candidates(outgoing: str) -> range:
    """Where to draw from, given the kernel's "lowest highest" of outgoing connections. Pure."""
    below = range(_LOWEST, int(outgoing.split(maxsplit=1)[0]))
    return below if len(below) >= _ENOUGH else _ANY


def settled(plan: ClusterPlan, rng: random.Random) -> ClusterPlan:
    """The plan with a free port for each server that has none yet. OSError if none is to be found."""
    drawn_from = candidates(_OUTGOING_PORTS.read_text())
    taken = set(plan.ports.values())
    ports: dict[str, int] = {}
    for server in plan.servers:
        if not server.port:
            ports[server.name] = _draw(drawn_from, taken, rng)
            taken.add(ports[server.name])
    return plan.with_ports(ports)


def _draw(drawn_from: range, taken: set[int], rng: random.Random) -> int:
    for _ in range(_MAX_DRAWS):
        port = rng.choice(drawn_from)
        if port not in taken and not _is_bound("127.0.0.1", port):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port found from {drawn_from[0]} to {drawn_from[-1]}")


def is_taken(server: ServerPlan) -> bool:
    """Whether somebody listens where the server is to."""
    return _is_bound(server.address.rpartition(":")[0], server.port)


def _is_bound(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False

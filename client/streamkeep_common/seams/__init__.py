"""Seams: what a component may know of clock, network, disk and threads.

Every component takes these through its constructor. `seams.real` implements them on the machine;
`tests/sim` implements them in a simulation, and one contract suite runs on both. Randomness is a
`random.Random`, which is seam enough.
"""

from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.disk import (
    Disk,
    DiskFile,
    DiskLock,
    FileSystem,
    FileSystemSpace,
    make_directories_durably,
)
from streamkeep_common.seams.network import (
    CallInfo,
    Channel,
    ClientStream,
    Listener,
    Network,
    RpcError,
    ServerStream,
    Service,
    Status,
    StreamMethod,
    UnaryMethod,
)
from streamkeep_common.seams.workers import Worker, Workers

__all__ = [
    "CallInfo",
    "Channel",
    "ClientStream",
    "Clock",
    "Disk",
    "DiskFile",
    "DiskLock",
    "FileSystem",
    "FileSystemSpace",
    "Listener",
    "Network",
    "RpcError",
    "ServerStream",
    "Service",
    "Status",
    "StreamMethod",
    "UnaryMethod",
    "Worker",
    "Workers",
    "make_directories_durably",
]

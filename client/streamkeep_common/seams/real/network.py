"""The network of a real machine: gRPC over TCP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

# gRPC's C core, when it is imported, reads how much it may write to stderr by itself. Every failure that
# matters reaches us as a status; a user who debugs sets the variable.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# The C core's own handlers of forks are on unless this says otherwise, though grpc.aio has never worked with
# them: one child in four died of SIGSEGV in them, whatever it was to do (grpc pull request 41455). Without
# them a child runs, and is refused below only if it uses gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from streamkeep_common.seams.network import Channel, Listener, Service
from streamkeep_common.seams.real.network_client import GrpcChannel
from streamkeep_common.seams.real.shared_poller import keep_quiet


class GrpcNetwork:
    """See `seams.Network`. Bound to the process that made it, which must be the first that uses gRPC: its
    C core does not survive a fork, not even for what is made only behind it."""

    _user_id: ClassVar[int | None] = None
    """The process in which gRPC was used: this one, or one from which it was forked."""

    def __init__(self) -> None:
        self._process_id = os.getpid()
        self._check_process()

    def dial(self, address: str) -> Channel:
        self._check_process()
        GrpcNetwork._user_id = self._process_id
        keep_quiet()
        return GrpcChannel(address, self._check_process)

    async def serve(self, address: str, services: Sequence[Service]) -> Listener:
        from streamkeep_common.seams.real.network_server import listen

        self._check_process()
        GrpcNetwork._user_id = self._process_id
        return await listen(address, services)

    def _check_process(self) -> None:
        if os.getpid() != self._process_id or self._user_id not in (None, self._process_id):
            raise RuntimeError(
                "this process was forked after its Streamkeep client was made, or after one had been used in "
                "its parent, and gRPC does not survive a fork; start it with the 'spawn' method, or use "
                "Streamkeep in the child alone"
            )

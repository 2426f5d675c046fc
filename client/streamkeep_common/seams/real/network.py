"""The network of a real machine: gRPC over TCP."""

from __future__ import annotations

import os
from collections.abc import Sequence

# gRPC's C core, when it is imported, reads how much it may write to stderr by itself. Every failure that
# matters reaches us as a status; a user who debugs sets the variable.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from streamkeep_common.seams.network import Channel, Listener, Service
from streamkeep_common.seams.real.network_client import GrpcChannel


class GrpcNetwork:
    """See `seams.Network`. Bound to the process that made it: gRPC does not survive a fork."""

    def __init__(self) -> None:
        self._process_id = os.getpid()

    def dial(self, address: str) -> Channel:
        self._check_process()
        return GrpcChannel(address, self._check_process)

    async def serve(self, address: str, services: Sequence[Service]) -> Listener:
        from streamkeep_common.seams.real.network_server import listen

        self._check_process()
        return await listen(address, services)

    def _check_process(self) -> None:
        if os.getpid() != self._process_id:
            raise RuntimeError(
                "this process was forked after its Streamkeep client was made, and gRPC does not survive "
                "a fork; make the client in the child, or start the child with the 'spawn' method"
            )

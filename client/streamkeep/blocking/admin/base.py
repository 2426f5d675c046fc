"""What all administration from threads has in common: a client, its own or a shared one."""

from __future__ import annotations

import random
from collections.abc import Sequence

from streamkeep.admin.admin import Admin
from streamkeep.blocking.client import Client, on_loop
from streamkeep.blocking.handle import Handle
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network


class AdminBase(Handle):
    """See `Admin`."""

    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        *,
        request_timeout_ms: int = 30_000,
        network: Network | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._on_loop = Admin(
            on_loop(bootstrap), request_timeout_ms=request_timeout_ms, network=network, clock=clock, rng=rng
        )
        super().__init__(self._on_loop)

    def close(self) -> None:
        """Close the connections, unless they are a shared client's."""
        self._leave(self._on_loop.close())

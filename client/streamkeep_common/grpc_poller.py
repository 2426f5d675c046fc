"""Chooses which of gRPC's two ways of waiting for sockets a server uses. Must not import grpc.

gRPC's event engine hands reads and writes to the threads of a pool; the poller it replaced does them on the
thread that waits. With each message that is a hop less: about a third off the acknowledgement of one record,
and a sixth off the processor time of a byte (`make bench`; ARCHITECTURE). The older poller is an experiment's
flag, which a later gRPC may drop, so it is asked of the releases with which the tests were run.
"""

from __future__ import annotations

import os
from importlib.metadata import version

SWITCH = "GRPC_EXPERIMENTS"
"""gRPC reads it once, while it is imported. Set by an operator, if only to nothing, it stays as it is."""

OLDER_POLLER = "-event_engine_client,-event_engine_listener,-event_engine_for_all_other_endpoints"

TESTED_RELEASES = ("1.85.",)


def choose_poller() -> None:
    """Call once in a server, before anything imports grpc."""
    if version("grpcio").startswith(TESTED_RELEASES):
        os.environ.setdefault(SWITCH, OLDER_POLLER)

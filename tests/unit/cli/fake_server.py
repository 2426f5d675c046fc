"""Stands in for a server process: says that it is ready, as the real ones do, and behaves as told.

`python fake_server.py ADDRESS [mute|deaf]`: it ends with a last word in its log instead of becoming ready
if it cannot listen, or is mute; deaf does not listen to SIGTERM.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
from typing import NoReturn


def fail(error: str) -> NoReturn:
    print(json.dumps({"event": "cannot start", "error": error}), file=sys.stderr)
    raise SystemExit(1)


def main(address: str, behaviour: str = "") -> None:
    if behaviour == "mute":
        fail("the directory is locked")
    host, _, port = address.rpartition(":")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, int(port)))
        except OSError as error:
            fail(str(error))
        listener.listen()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        print(json.dumps({"ready": "broker", "id": 1, "address": address, "metrics": ""}), flush=True)
        if behaviour == "deaf":
            signal.sigwait({signal.SIGUSR1})
        signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main(*sys.argv[1:])

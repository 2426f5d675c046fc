"""Stands in for a server process: says that it is ready, as the real ones do, and behaves as told.

`python fake_server.py ADDRESS [mute|deaf]`: mute ends with a last word in its log instead of becoming
ready; deaf does not listen to SIGTERM.
"""

from __future__ import annotations

import json
import signal
import sys


def main(address: str, behaviour: str = "") -> None:
    if behaviour == "mute":
        print(json.dumps({"event": "cannot start", "error": "the directory is locked"}), file=sys.stderr)
        raise SystemExit(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    print(json.dumps({"ready": "broker", "id": 1, "address": address, "metrics": ""}), flush=True)
    if behaviour == "deaf":
        signal.sigwait({signal.SIGUSR1})
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main(*sys.argv[1:])

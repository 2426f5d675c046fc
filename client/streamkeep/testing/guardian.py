"""Ends the processes of a test's cluster when the process that ran the test is gone without having done so.

A program of its own, started beside such a cluster; what it needs it loads only then. Its standard input ends
when the test's process does, however that came about.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Wait; if the cluster's directory is still there, end what runs in it and remove it."""
    sys.stdin.buffer.read()
    if not folder.exists():
        return
    from streamctl.dev.ending import stop_processes
    from streamctl.dev.store import ClusterStore

    asyncio.run(stop_processes(ClusterStore(folder, listed=False).read()))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Clients in other languages, made from the protos alone, held against the Python one: `make interop`.

    python -m tests.interop [writer ...]

A real cluster of three coordinators and three brokers. Each of Python, Go and Node writes the flights to a
topic of its own, and while Go and Node read it along, the leader of a partition is killed with -9, or
stopped. Afterwards the SDK reads it, too. What each of the three has read is compared, record by record,
with what was sent.
Exit status: 0 all agree, 1 something differs or failed, 2 a toolchain is missing.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.interop.clients import ClientFailedError
from tests.interop.scenarios import Interop, Row
from tests.interop.toolchains import make_programs, missing_tools

WRITERS = ("python", "go", "node", "grpcurl")
TIME_LIMIT_S = 600


def show(rows: list[Row]) -> None:
    print(f"{'writer':9}{'reader':9}{'records':>8}{'differ':>8}  notes")
    for row in rows:
        print(f"{row.writer:9}{row.reader:9}{row.records:8,}{len(row.differences):8}  {row.notes}")
    for row in rows:
        for difference in row.differences[:3]:
            print(f"{row.writer} to {row.reader}: {difference}", file=sys.stderr)


async def run(writers: list[str]) -> list[Row]:
    began_s = time.perf_counter()
    programs = make_programs()
    print(f"the clients were made in {time.perf_counter() - began_s:.0f} s", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="streamkeep-interop-") as folder:
        async with asyncio.timeout(TIME_LIMIT_S), Interop(Path(folder), programs) as interop:
            return [row for writer in writers for row in await interop.rows_of(writer)]


def main() -> int:
    if complaints := missing_tools():
        print("\n".join(complaints), file=sys.stderr)
        return 2
    logging.disable(logging.WARNING)  # of the SDK: that a leader is gone, which is meant
    try:
        rows = asyncio.run(run(sys.argv[1:] or list(WRITERS)))
    except* ClientFailedError as failures:
        print("\n".join(map(str, failures.exceptions)), file=sys.stderr)
        sys.exit(1)
    show(rows)
    return 1 if any(row.differences for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

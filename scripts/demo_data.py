"""Make the demo's data: the departures of January 2013 out of a year of flights.

`python scripts/demo_data.py path/to/flights.csv.gz` writes cli/streamctl/data/flights-2013-01.csv.gz:
the header and the rows of that month, unchanged and in their order. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "cli/streamctl/data/flights-2013-01.csv.gz"
EXPECTED_ROWS = 27_004


def january(lines: list[bytes]) -> list[bytes]:
    """The rows whose year, month and day columns say January 2013."""
    if not lines or not lines[0].startswith(b"year,month,day,"):
        raise SystemExit("not the flights table: its first columns must be year, month, day")
    return [line for line in lines[1:] if line.startswith(b"2013,1,")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="flights.csv.gz, a year of departures")
    source: Path = parser.parse_args().source
    lines = gzip.decompress(source.read_bytes()).splitlines(keepends=True)
    rows = january(lines)
    if len(rows) != EXPECTED_ROWS:
        raise SystemExit(f"{source} has {len(rows)} departures in January 2013, not {EXPECTED_ROWS}")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(gzip.compress(lines[0] + b"".join(rows), compresslevel=9, mtime=0))
    print(f"{len(rows)} rows, {TARGET.stat().st_size} bytes: {TARGET}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What all scripts do that make a document from code: write it, or say that it is not what it should be."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def keep(document: Path, fresh: str, *, description: str | None) -> int:
    """Write the document; with `--check` only compare. Returns the exit status, 1 if it differs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if not parser.parse_args().check:
        document.write_text(fresh, encoding="utf-8")
        return 0
    if document.exists() and document.read_text(encoding="utf-8") == fresh:
        return 0
    script = Path(sys.argv[0]).name
    print(f"stale: {document.relative_to(ROOT)}; run `python scripts/{script}`", file=sys.stderr)
    return 1

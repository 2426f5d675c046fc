"""Generate the committed protobuf and gRPC stubs, or check that they are fresh.

`python scripts/protos.py` writes them; with `--check` they are made in a temporary
folder and compared, and the exit status is 1 if any differs.
"""

from __future__ import annotations

import argparse
import filecmp
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def generate(out: Path) -> None:
    """Messages for every file; gRPC stubs only where the file has a service."""
    sources = sorted(PROTOS.rglob("*.proto"))
    with_service = [path for path in sources if "\nservice " in path.read_text()]
    run_protoc([f"--python_out={out}", f"--mypy_out=quiet:{out}"], sources)
    run_protoc([f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}"], with_service)


def run_protoc(outputs: list[str], sources: list[Path]) -> None:
    bin_dir = Path(sys.executable).parent
    status = protoc.main(
        [
            "protoc",
            f"-I{PROTOS}",
            f"-I{resources.files('grpc_tools') / '_proto'}",
            f"--plugin=protoc-gen-mypy={bin_dir / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={bin_dir / 'protoc-gen-mypy_grpc'}",
            *outputs,
            *(str(path.relative_to(PROTOS)) for path in sources),
        ]
    )
    if status != 0:
        raise SystemExit(f"protoc failed with status {status}")


def generated_files(root: Path) -> set[Path]:
    return {path.relative_to(root) for pattern in GENERATED for path in root.rglob(pattern)}


def stale_files() -> list[Path]:
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        names = generated_files(fresh) | generated_files(PROTOS)
        return sorted(
            name
            for name in names
            if not ((fresh / name).exists() and (PROTOS / name).exists())
            or not filecmp.cmp(fresh / name, PROTOS / name, shallow=False)
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if not parser.parse_args().check:
        generate(PROTOS)
        return 0
    stale = stale_files()
    for name in stale:
        print(f"stale: protos/{name}; run `make protos`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

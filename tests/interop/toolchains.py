"""What the other languages need: what is on this machine, what is missing, and how their programs are made.

All that is made lies in `.bench/interop`, `go/streamkeepv1` and `node/node_modules`.
Generated code is not committed: that it can be made from the protos, with pinned stock generators, is part of
what is tested.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
BIN = ROOT / ".bench" / "interop" / "bin"

_MODULE = "streamkeep.example/interop"
_MORE_PATH = ("/usr/local/go/bin",)


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that has to be there. `oldest` are the first numbers of its version."""

    name: str
    version_command: tuple[str, ...]
    oldest: tuple[int, ...]
    advice: str


_GO = Tool(
    "go",
    ("go", "env", "GOVERSION"),
    (1, 26),
    "install Go 1.26 or newer and have `go` in PATH or /usr/local/go/bin",
)
_NODE = Tool("node", ("node", "--version"), (20,), "install Node.js 20 or newer (Debian: apt install nodejs)")
_NPM = Tool("npm", ("npm", "--version"), (9,), "npm comes with Node.js (Debian: apt install npm)")
_TOOLS = (_GO, _NODE, _NPM)


@dataclass(frozen=True, slots=True)
class Programs:
    """What was made: the beginnings of command lines."""

    go: tuple[str, ...]
    node: tuple[str, ...]
    grpcurl: Path


def missing_tools() -> list[str]:
    """A sentence for each toolchain that is missing or too old."""
    return [complaint for tool in _TOOLS if (complaint := _complaint(tool))]


def _complaint(tool: Tool) -> str:
    if shutil.which(tool.name, path=_path()) is None:
        return f"{tool.name} is missing: {tool.advice}"
    told = _run(tool.version_command, ROOT).strip()
    version = tuple(int(number) for number in re.findall(r"\d+", told))
    return "" if version >= tool.oldest else f"{tool.name} {told} is too old: {tool.advice}"


def make_programs() -> Programs:
    """Generate, install and build. SystemExit with the output of what fails."""
    BIN.mkdir(parents=True, exist_ok=True)
    _generate_go()
    go, grpcurl = BIN / "streamkeep-go", BIN / "grpcurl"
    _build("go", ".", go)
    _build("grpcurl", "github.com/fullstorydev/grpcurl/cmd/grpcurl", grpcurl)
    _install_node()
    return Programs((str(go),), (_which("node"), str(HERE / "node" / "main.js")), grpcurl)


def _generate_go() -> None:
    """With the plugins that go.mod pins, and protoc from grpcio-tools."""
    for plugin in (
        "google.golang.org/protobuf/cmd/protoc-gen-go",
        "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
    ):
        _build("go", plugin, BIN / Path(plugin).name)
    protos = ROOT / "protos"
    files = [str(path.relative_to(protos)) for path in sorted(protos.rglob("*.proto"))]
    options = [
        f"--{plugin}_opt={option}"
        for plugin in ("go", "go-grpc")
        for option in (f"module={_MODULE}", *(f"M{file}={_MODULE}/streamkeepv1" for file in files))
    ]
    outputs = [f"--{plugin}_out={HERE / 'go'}" for plugin in ("go", "go-grpc")]
    protoc = (sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}")
    _run((*protoc, *outputs, *options, *files), ROOT)


def _build(module: str, package: str, output: Path) -> None:
    _run(("go", "build", "-buildvcs=false", "-o", str(output), package), HERE / module)


def _install_node() -> None:
    """Exactly what the lock file says, unless that was done."""
    folder = HERE / "node"
    installed, lock = folder / "node_modules" / ".package-lock.json", folder / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        _run(("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"), folder)


def _which(name: str) -> str:
    found = shutil.which(name, path=_path())
    assert found is not None, "asked for only when nothing is missing"
    return found


def _path() -> str:
    return os.pathsep.join((str(BIN), os.environ.get("PATH", ""), *_MORE_PATH))


def _run(command: tuple[str, ...], folder: Path) -> str:
    """What it says on standard output."""
    environment = {**os.environ, "PATH": _path(), "GOTOOLCHAIN": "local"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed in {folder}:\n{done.stdout}{done.stderr}")
    return done.stdout

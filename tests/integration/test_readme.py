"""The README's blocks do what it says, in its order, on a cluster with ports and a home of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONTINUED = "\\\n"
NOT_OURS = ("make", "grpcurl")
"""Commands of the README that are run elsewhere: the targets by `.ci/run`, reflection by its own tests."""
TIMEOUT_S = 60


class Reader:
    """Somebody who types what the README says, and puts the cluster on free ports."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._bootstrap = ""

    def python(self, program: str) -> str:
        file = self._home / "first.py"
        file.write_text(program.replace("localhost:7101", self._bootstrap))
        return self._run([sys.executable, str(file)])

    def shell(self, line: str) -> str:
        line = line.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        if line.endswith("dev --detach"):
            processes = json.loads(self._run(["bash", "-c", f"{line} --port-base 0 -o json"]))
            self._bootstrap = processes[0]["address"]
            return ""
        return self._run(["bash", "-o", "pipefail", "-c", line])

    def _run(self, command: list[str]) -> str:
        strange = ("STREAMKEEP_", "XDG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        environment |= {"HOME": str(self._home), "STREAMKEEP_BOOTSTRAP": self._bootstrap}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.shell(".venv/bin/streamctl dev stop")


def commands(block: str) -> list[str]:
    return [line for line in block.replace(CONTINUED, "").splitlines() if not line.startswith(NOT_OURS)]


def test_every_block_does_what_it_says(reader: Reader) -> None:
    said: dict[str, str] = {}
    for kind, block in BLOCK.findall(README):
        if kind == "python":
            said["first.py"] = reader.python(block)
        else:
            said |= {line: reader.shell(line) for line in commands(block)}

    def output_of(part: str) -> str:
        (output,) = (output for line, output in said.items() if part in line)
        return output

    assert "following" in output_of("quorum")
    assert len(output_of("consume").splitlines()) == 3
    assert json.loads(output_of("describe"))["name"] == "events"
    assert "offset=0" in output_of("first.py") and "b'UA' b'EWR-IAH'" in output_of("first.py")
    assert "record_count" in output_of("protoc")


def test_every_make_target_and_every_file_it_names_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)
    assert targets and all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert all((ROOT / path).exists() for path in re.findall(r"\]\(([^)#:]+)\)", README))

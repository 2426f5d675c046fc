"""Documents as somebody follows them: block by block, on a cluster with ports and a home of its own.

A block of `sh` is run line by line; one of `python NAME.py` is written into that file; one of `text` is what
the block of `sh` before it prints. The cluster is the one that the document starts by `dev --detach`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
NOT_OURS = ("make", "grpcurl", "pip")
"""Commands that are run elsewhere: the targets by `.ci/run`, reflection by its own tests; what is installed
is `make setup`'s."""
SEEN_FROM_THE_CHECKOUT = ("cli", "protos")
TIMEOUT_S = 60

_BLOCK = re.compile(r"^```(\w+)(?: ([\w.-]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONTINUED = "\\\n"
_ADDRESS = "localhost:7101"


class Block(NamedTuple):
    """What stands between two fences: its language, the word behind that, and the text."""

    kind: str
    title: str
    text: str

    def commands(self) -> list[str]:
        """The lines of a shell's block that are ours to run."""
        lines = self.text.replace(_CONTINUED, "").splitlines()
        return [line for line in lines if not line.startswith(NOT_OURS)]


def blocks(path: str) -> list[Block]:
    """Those of a document of the checkout."""
    return [Block(*found) for found in _BLOCK.findall((ROOT / path).read_text())]


class Typist:
    """Somebody who types what a document says, in a directory of their own that has what the checkout has."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._bootstrap = ""
        for name in SEEN_FROM_THE_CHECKOUT:
            (home / name).symlink_to(ROOT / name)

    def follow(self, document: str) -> dict[str, str]:
        """Do what all blocks of a document say; what each command printed.

        AssertionError if one fails, or prints something else than the document says.
        """
        said: dict[str, str] = {}
        printed = ""
        for block in blocks(document):
            if block.kind == "sh":
                outputs = [(line, self.shell(line)) for line in block.commands()]
                said |= dict(outputs)
                printed = "".join(output for _, output in outputs)
            elif block.kind == "python":
                self.write(block)
            elif block.kind == "text":
                assert printed == block.text, f"{document} says:\n{block.text}\nit printed:\n{printed}"
        return said

    def write(self, block: Block) -> Path:
        """Save a program under its name."""
        file = self._home / block.title
        file.write_text(block.text.replace(_ADDRESS, self._bootstrap))
        return file

    def shell(self, line: str) -> str:
        """What a command prints."""
        line = line.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        if line.endswith("dev --detach"):
            processes = json.loads(self.run(["bash", "-c", f"{line} --port-base 0 -o json"]))
            self._bootstrap = processes[0]["address"]
            return ""
        return self.run(["bash", "-o", "pipefail", "-c", line])

    def run(self, command: list[str]) -> str:
        """What a program prints, with the document's cluster and nothing else of our environment."""
        strange = ("STREAMKEEP_", "STREAMCTL_", "XDG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        environment |= {"HOME": str(self._home), "STREAMKEEP_BOOTSTRAP": self._bootstrap}
        done = subprocess.run(
            command,
            cwd=self._home,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

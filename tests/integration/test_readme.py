"""The README's blocks do what it says, in its order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.documents import ROOT, Typist

pytestmark = pytest.mark.process

README = "README.md"


@pytest.fixture
def typist(tmp_path: Path) -> Iterator[Typist]:
    typist = Typist(tmp_path)
    yield typist
    typist.shell(".venv/bin/streamctl dev stop")


def test_every_block_does_what_it_says(typist: Typist) -> None:
    said = typist.follow(README)

    def output_of(part: str) -> str:
        (output,) = (output for line, output in said.items() if part in line)
        return output

    assert len(output_of("consume").splitlines()) == 3
    assert "b'UA' b'EWR-IAH'" in output_of("first.py")
    assert "events" in output_of("verify")


def test_every_make_target_and_every_file_it_names_is_there() -> None:
    text = (ROOT / README).read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)
    assert targets and all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert all((ROOT / path).exists() for path in re.findall(r"\]\(([^)#:]+)\)", text))

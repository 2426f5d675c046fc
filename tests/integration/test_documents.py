"""What newcomers are told to do works as it is printed."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.documents import ROOT, Block, Typist, blocks

TUTORIAL = "docs/tutorial.md"
PYTHON_CLIENTS = "docs/from-python-clients.md"
PROGRAMS = 10
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))


@pytest.fixture
def typist(tmp_path: Path) -> Iterator[Typist]:
    typist = Typist(tmp_path)
    yield typist
    typist.shell(".venv/bin/streamctl dev stop")


@pytest.mark.process
def test_the_tutorial_does_what_it_says(typist: Typist) -> None:
    said = typist.follow(TUTORIAL)
    assert any("record_count" in output for line, output in said.items() if "protoc" in line)


@pytest.mark.process
def test_the_ten_programs_run_one_after_the_other(typist: Typist) -> None:
    typist.shell(".venv/bin/streamctl dev --detach")
    imports, *programs = [block for block in blocks(PYTHON_CLIENTS) if block.kind == "python"]
    ours = [block for block in programs if not block.title]
    assert len(ours) == PROGRAMS
    file = typist.write(Block("python", "ten.py", in_one(imports, ours)))
    printed = typist.shell(f".venv/bin/python -W error {file}")
    assert "b'two apples'" in printed and "plum" in printed


def in_one(imports: Block, programs: list[Block]) -> str:
    """One program of all: each in a coroutine of its own, in their order."""
    coroutines = [
        f"async def program_{number}():\n{textwrap.indent(block.text, '    ')}"
        for number, block in enumerate(programs)
    ]
    calls = "".join(f"    await program_{number}()\n" for number in range(len(programs)))
    return "\n\n".join([imports.text, *coroutines, f"async def main():\n{calls}", "asyncio.run(main())\n"])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_python_block_can_be_read(document: str) -> None:
    for block in blocks(document):
        if block.kind == "python":
            compile(block.text, document, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_is_linked_is_there(document: str) -> None:
    text = (ROOT / document).read_text()
    links = re.findall(r"\]\(([^)#:\s]+)\)", text)
    assert all(((ROOT / document).parent / link).exists() for link in links)

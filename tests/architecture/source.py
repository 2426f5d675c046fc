"""The project's own source, parsed, for tests that hold it to its rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOTS = ("client", "coordinator", "broker", "cli")


@dataclass(frozen=True)
class Module:
    """One source file; `name` is its path from the repository's root."""

    name: str
    text: str
    tree: ast.Module


@cache
def modules() -> list[Module]:
    """Every Python file of the packages; generated stubs are not among them."""
    return _read(*ROOTS)


@cache
def modules_around() -> list[Module]:
    """Every Python file of the tests and scripts."""
    return _read("tests", "scripts")


def _read(*roots: str) -> list[Module]:
    found = []
    for path in sorted(path for root in roots for path in (ROOT / root).rglob("*.py")):
        if "node_modules" in path.parts:
            continue  # of the foreign client in node, which are nobody's here
        text = path.read_text(encoding="utf-8")
        found.append(Module(path.relative_to(ROOT).as_posix(), text, ast.parse(text)))
    assert len(found) > 20, "the source was not found"
    return found


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of whatever is imported, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def called_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every call of a plain name, e.g. (7, "time.monotonic")."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name:
                yield node.lineno, name


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node

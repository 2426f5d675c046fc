"""Rooms stay small. These are the hard limits; most files and functions are half of that."""

from __future__ import annotations

import ast

from tests.architecture.source import functions, modules, modules_around

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40


def test_a_file_can_be_read_in_one_sitting() -> None:
    lines = {module.name: len(module.text.splitlines()) for module in [*modules(), *modules_around()]}
    assert {name: size for name, size in lines.items() if size > MAX_FILE_LINES} == {}


def test_a_function_fits_on_a_screen() -> None:
    lines = {
        f"{module.name}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for module in [*modules(), *modules_around()]
        for node in functions(module.tree)
    }
    assert {name: size for name, size in lines.items() if size > MAX_FUNCTION_LINES} == {}


def test_a_file_says_what_it_owns() -> None:
    assert [
        module.name for module in modules() if module.tree.body and not ast.get_docstring(module.tree)
    ] == []

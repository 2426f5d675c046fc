"""YAML as people write it; what is not plain text is quoted as in JSON, which every parser reads."""

from __future__ import annotations

import json

import pytest

from streamctl.invocation import Invocation
from streamctl.output import Table, emit, emit_item
from streamctl.yaml_text import to_yaml


def test_mappings_and_lists_stand_in_blocks_and_what_is_flat_on_one_line() -> None:
    data = {
        "name": "flights",
        "settings": {"retention_ms": "86400000", "cleanup_policy": "delete"},
        "partitions": [
            {"partition": 0, "isr": [1, 2], "moves": [], "log_dirs": [{"path": "/a"}]},
            {"partition": 1, "leader": None, "isr": []},
        ],
        "nested": [[1, 2], []],
        "empty": {},
    }
    assert to_yaml(data).splitlines() == [
        "name: flights",
        "settings:",
        '  retention_ms: "86400000"',
        "  cleanup_policy: delete",
        "partitions:",
        "  - partition: 0",
        "    isr: [1, 2]",
        "    moves: []",
        "    log_dirs:",
        "      - path: /a",
        "  - partition: 1",
        "    leader: null",
        "    isr: []",
        "nested:",
        "  - [1, 2]",
        "  - []",
        "empty: {}",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("127.0.0.1:7101", '"127.0.0.1:7101"'),
        ("", '""'),
        ("no", '"no"'),
        ("True", '"True"'),
        ("1e3", '"1e3"'),
        ("two\nlines", '"two\\nlines"'),
        ("next\x85line\u2028", '"next\\Nline\\L"'),
        ("Zürich", '"Zürich"'),
        ("- dash", '"- dash"'),
        ("under-replicated", "under-replicated"),
        (True, "true"),
        (1.5, "1.5"),
        ([], "[]"),
        ([{}], "- {}"),
    ],
)
def test_what_could_be_taken_for_something_else_is_quoted(value: object, text: str) -> None:
    assert to_yaml(value) == text


def test_items_that_come_one_by_one_are_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    emit_item(Invocation(output="yaml"), {"offset": 1})
    emit_item(Invocation(output="json"), {"offset": 1})
    assert capsys.readouterr().out == '- {"offset": 1}\n{"offset": 1}\n'


def test_yaml_is_data_too(capsys: pytest.CaptureFixture[str]) -> None:
    emit(Invocation(output="yaml"), [{"name": "t"}], Table(("NAME",), [("t",)]))
    assert capsys.readouterr().out == "- name: t\n"
    emit(Invocation(output="json"), [], Table((), []))
    assert json.loads(capsys.readouterr().out) == []

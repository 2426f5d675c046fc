"""What scripts read: each command has a form that stands in the reference, and keeps to it."""

from __future__ import annotations

import json

import pytest

from streamctl.cheat.pages import PAGES
from streamctl.shapes import LINES, SHAPES, UNPROMISED
from streamkeep_proto.v1.coordinator_pb2 import BrokerInfo
from tests.unit.cli.command_tree import commands
from tests.unit.cli.conforming import faults
from tests.unit.cli.fake_admin import FakeAdmin, fake_cluster, move, outcome, streamctl


def test_every_command_that_writes_data_has_its_form_in_the_reference() -> None:
    writing = [path for path, command in commands() if any(each.name == "output" for each in command.params)]
    described = [*SHAPES, *LINES, *UNPROMISED]
    assert sorted(described) == sorted(writing)


def test_a_fault_is_found_where_it_is() -> None:
    shape = {"a": "number", "b": [{"c": "text?"}], "d": "flag"}
    assert list(faults({"a": 1, "b": [{"c": None}], "d": True}, shape)) == []
    assert list(faults({"a": True, "b": [{"c": 3}]}, shape)) == [
        "$ lacks ['d']",
        "$.a is True, no number",
        "$.b[0].c is 3, no text?",
    ]


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("partition reassign", ["-p", "t:0=1,3"]),
        ("partition reassignments", []),
        ("partition cancel", ["t:0"]),
        ("broker drain", ["3", "--dry-run"]),
        ("broker decommission", ["3", "--dry-run"]),
        ("broker log-dirs", []),
        ("broker list", []),
        ("topic delete", ["t"]),
        ("topic list", ["t*"]),
        ("cheat", [*PAGES]),
        ("version", []),
        ("config list", ["broker"]),
        ("config describe", ["topic"]),
        ("context add", ["test", "a:1"]),
        ("context show", []),
    ],
)
def test_data_have_the_form_that_is_promised(
    monkeypatch: pytest.MonkeyPatch, path: str, arguments: list[str]
) -> None:
    fake_cluster(
        FakeAdmin(outcomes=[[outcome()]], moves=[[move()]], brokers=[[BrokerInfo(broker_id=3, replicas=1)]]),
        monkeypatch,
    )
    result = streamctl(*path.split(), *arguments, "-o", "json")
    assert result.exit_code == 0, result.stderr
    assert list(faults(json.loads(result.stdout), SHAPES[path])) == []


@pytest.mark.parametrize("path", [path for path, command in commands() if path in SHAPES])
def test_names_are_for_what_is_listed(path: str) -> None:
    """Said before anything is done, wherever on the line it stands."""
    command = dict(commands())[path]
    (output,) = (each for each in command.params if each.name == "output")
    if "name" not in output.type.choices:  # type: ignore[attr-defined]  # a Choice
        result = streamctl("-o", "name", *path.split())
        assert result.exit_code == 2 and "lists no names" in result.stderr


def test_names_stand_one_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cluster(FakeAdmin(moves=[[move("t", 3), move("u", 0)]]), monkeypatch)
    assert streamctl("partition", "reassignments", "-o", "name").stdout == "t:3\nu:0\n"
    assert streamctl("topic", "list", "-o", "name").stdout == "t\n"
    assert streamctl("-o", "name", "topic", "list").stdout == "t\n"
    assert "retention_ms\n" in streamctl("config", "list", "topic", "-o", "name").stdout

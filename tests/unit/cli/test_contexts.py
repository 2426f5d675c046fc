"""Contexts: which cluster a command means, how the file is kept, and what is asked where it is dangerous."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamctl.contexts.file import Context, Contexts, changing, config_path, encode, read_contexts
from streamctl.contexts.target import find_target
from streamctl.failures import CommandError, ExitCode
from streamctl.invocation import Invocation
from streamctl.main import cli
from tests.unit.cli.fake_admin import FakeAdmin, fake_cluster


def streamctl(*arguments: str, stdin: str = "") -> Result:
    result = CliRunner().invoke(cli, arguments, input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def succeed(*arguments: str) -> Result:
    result = streamctl(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def said(**values: str) -> Invocation:
    invocation = Invocation(**values)  # type: ignore[arg-type]
    invocation.said.update(values)
    return invocation


# --- the commands ---


def test_addresses_given_as_an_option_are_told_where_they_stand() -> None:
    result = streamctl("context", "add", "-b", "a:1", "prod")
    assert result.exit_code == ExitCode.USAGE
    assert "the addresses stand behind the name" in result.stderr and "context add test a:1`" in result.stderr


def test_a_name_with_blanks_is_offered_as_it_can_be_typed() -> None:
    assert "`streamctl context use 'the old one'`" in succeed("context", "add", "the old one", "a:1").stderr


def test_contexts_are_added_used_listed_and_removed() -> None:
    succeed("context", "add", "test", "localhost:7101", "--use")
    succeed("context", "add", "prod", "a:1,b:2", "--danger")
    succeed("context", "use", "prod")
    listed = json.loads(succeed("context", "list", "-o", "json").stdout)
    assert listed == [
        {"name": "test", "bootstrap": "localhost:7101", "danger": False, "current": False, "previous": True},
        {"name": "prod", "bootstrap": "a:1,b:2", "danger": True, "current": True, "previous": False},
    ]
    assert succeed("context", "list", "-o", "name").stdout == "test\nprod\n"
    assert "*  prod" in succeed("context", "list").stdout
    succeed("context", "remove", "prod")
    assert read_contexts(config_path()) == Contexts({"test": Context("test", "localhost:7101")}, "", "test")


def test_a_dash_goes_back_to_the_context_before_and_back_again() -> None:
    assert streamctl("context", "use", "-").exit_code == ExitCode.NOT_FOUND
    for name in ("one", "two"):
        succeed("context", "add", name, f"{name}:1", "--use")
    for expected in ("one", "two", "one"):
        succeed("context", "use", "-")
        assert json.loads(succeed("context", "show", "-o", "json").stdout)["name"] == expected
    succeed("context", "use", "one")
    assert read_contexts(config_path()).previous == "two", "the one in use is not also the one before"


def test_a_second_context_of_one_name_is_refused_unless_it_shall_replace_the_first() -> None:
    succeed("context", "add", "test", "first:1")
    result = streamctl("context", "add", "test", "second:1")
    assert result.exit_code == ExitCode.FAILED
    assert "there is a context 'test' already, at first:1" in result.stderr and "--replace" in result.stderr
    succeed("context", "add", "test", "second:1", "--replace")
    assert read_contexts(config_path()).find("test").bootstrap == "second:1"


@pytest.mark.parametrize("arguments", [["use"], ["remove"], ["show"]])
def test_an_unknown_context_offers_the_nearest(arguments: list[str]) -> None:
    succeed("context", "add", "production", "a:1")
    result = streamctl("context", *arguments, "prodution")
    assert result.exit_code == ExitCode.NOT_FOUND
    assert "there is no context 'prodution'; did you mean 'production'?" in result.stderr


@pytest.mark.parametrize("arguments", [["", "a:1"], ["--", "-", "a:1"], ["n", "nowhere"], ["n", "a:1,"]])
def test_what_is_no_name_or_address_is_a_usage_error(arguments: list[str]) -> None:
    result = streamctl("context", "add", *arguments)
    assert result.exit_code == ExitCode.USAGE and not config_path().exists()


# --- which cluster is meant ---


def test_flag_wins_over_environment_over_context_over_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    guess = find_target(Invocation())
    assert guess.is_local and guess.said_by == "default"
    for name in ("current", "variable", "flag"):
        succeed("context", "add", name, f"{name}:1")
    succeed("context", "use", "current")
    assert find_target(Invocation())[:2] == ("current:1", "context")
    monkeypatch.setenv("STREAMCTL_CONTEXT", "variable")
    assert find_target(Invocation())[:2] == ("variable:1", "STREAMCTL_CONTEXT")
    monkeypatch.setenv("STREAMKEEP_BOOTSTRAP", "env:1")
    assert find_target(Invocation())[:2] == ("env:1", "STREAMKEEP_BOOTSTRAP")
    assert find_target(said(context="flag"))[:2] == ("flag:1", "--context")
    assert find_target(said(bootstrap="line:1"))[:2] == ("line:1", "--bootstrap")


def test_two_flags_that_name_a_cluster_are_one_too_many() -> None:
    result = streamctl("--context", "x", "topic", "list", "-b", "a:1")
    assert result.exit_code == ExitCode.USAGE and "give one" in result.stderr


def test_a_broken_file_hinders_nobody_who_names_the_cluster(config_home: Path) -> None:
    (config_home / "streamkeep").mkdir(parents=True)
    config_path().write_text("this is")
    assert find_target(said(bootstrap="line:1")).bootstrap == "line:1"
    with pytest.raises(CommandError, match="line 1"):
        find_target(Invocation())


# --- the file ---


def test_the_file_is_its_owners_alone_and_a_link_to_it_stays_one(config_home: Path, tmp_path: Path) -> None:
    (config_home / "streamkeep").mkdir(parents=True)
    config_path().symlink_to(tmp_path / "dotfile")
    succeed("context", "add", "test", "a:1")
    assert config_path().is_symlink()
    assert stat.S_IMODE((tmp_path / "dotfile").stat().st_mode) == 0o600
    assert [path.name for path in (config_home / "streamkeep").iterdir()] == [config_path().name]


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    odd = {name: Context(name, "a:1", name == "b c") for name in ("b c", 'quo"te', "back\\slash", "ünï.dot")}
    path = tmp_path / "file"
    path.write_text(encode(Contexts(odd, "b c", "ünï.dot")))
    assert read_contexts(path) == Contexts(odd, "b c", "ünï.dot")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[contexts.a]\nbootstrap = "x:1"\n\n[contexts."a"]\nbootstrap = "y:1"',
            "named 'a', in lines 1 and 4",
        ),
        ("[contexts.a]", "context 'a' has no `bootstrap`"),
        ('[contexts.a]\nbootstrap = "x:1"\ndanger = "yes"', "neither true nor false"),
        ("contexts = 3", "no table"),
        ("current = 3", "names of contexts"),
        ("what is this", "line 1"),
        (b"\xff", "byte 0 is no UTF-8"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named_with_the_place(
    config_home: Path, text: str | bytes, says: str
) -> None:
    (config_home / "streamkeep").mkdir(parents=True)
    config_path().write_bytes(text if isinstance(text, bytes) else text.encode())
    result = streamctl("context", "list")
    assert result.exit_code == ExitCode.FAILED
    assert says in result.stderr and str(config_path()) in result.stderr and "Traceback" not in result.stderr


def test_a_place_that_cannot_be_written_is_told_with_the_way_out(config_home: Path) -> None:
    config_home.write_text("a file where the directory shall be")
    result = streamctl("context", "add", "test", "a:1")
    assert result.exit_code == ExitCode.FAILED
    assert "cannot be written" in result.stderr and "--bootstrap" in result.stderr


def test_a_write_that_fails_leaves_the_file_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    succeed("context", "add", "test", "a:1")

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert "No space left" in streamctl("context", "add", "other", "b:1").stderr
    assert list(read_contexts(config_path()).by_name) == ["test"]
    assert len(list(config_path().parent.iterdir())) == 1


def test_changes_at_the_same_time_wait_for_each_other() -> None:
    with changing(config_path()) as change:
        change.contexts = Contexts({"a": Context("a", "a:1")})
        assert read_contexts(config_path()) == Contexts(), "until it is whole nobody sees it"
    assert list(read_contexts(config_path()).by_name) == ["a"]


# --- danger ---


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> FakeAdmin:
    admin = FakeAdmin()
    fake_cluster(admin, monkeypatch)
    succeed("context", "add", "prod", "a:1", "--danger", "--use")
    return admin


@pytest.mark.parametrize(("answer", "code"), [("prod\n", 0), ("y\n", 1), ("\n", 1)])
def test_a_dangerous_context_is_asked_for_by_name(
    admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("streamctl.contexts.danger._can_ask", lambda: True)
    result = streamctl("topic", "delete", "t", stdin=answer)
    assert result.exit_code == code, result.stderr
    assert ("delete", ["t"], False) in admin.asked if code == 0 else not admin.asked


def test_without_a_terminal_danger_needs_a_yes(admin: FakeAdmin) -> None:
    result = streamctl("topic", "delete", "t")
    assert result.exit_code == ExitCode.USAGE and "--yes" in result.stderr and not admin.asked
    assert streamctl("topic", "delete", "t", "--yes").exit_code == 0
    assert streamctl("topic", "delete", "t", "--dry-run").exit_code == 0

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata

import click
import pytest
from click.testing import CliRunner

from streamctl.failures import CommandError, ExitCode, as_command_error, nearest
from streamctl.groups import LazyCommand, RootGroup
from streamctl.invocation import Invocation, cluster_options, pass_invocation
from streamctl.main import COMMANDS, cli
from streamkeep_common.errors import (
    DiskFullError,
    InvalidSettingError,
    StreamkeepError,
    TimedOutError,
    UnavailableError,
    UnknownTopicError,
)


def root_around(function: Callable[[], None]) -> RootGroup:
    """A root whose one command, `go`, is `function`."""

    class Root(RootGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return click.Command("go", callback=function) if cmd_name == "go" else None

    @click.group(cls=Root, lazy={"go": LazyCommand("", "Go.")})
    @cluster_options
    def root() -> None:
        pass

    assert isinstance(root, RootGroup)
    return root


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_begins_with_its_line_in_the_list(name: str) -> None:
    command = COMMANDS[name].load()
    assert (command.help or "").splitlines()[0] == COMMANDS[name].summary
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0 and "--help" in result.stdout


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from click.testing import CliRunner; from streamctl.main import cli;"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0;"
        "print([name for name in ('grpc', 'google.protobuf', 'rich', 'asyncio', 'streamkeep', 'structlog')"
        " if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert loaded.strip() == "[]"


def test_the_version_is_said_where_fingers_look_for_it() -> None:
    result = CliRunner().invoke(cli, ["--version"])
    assert result.stdout == f"streamctl {metadata.version('streamkeep')}\n"


@pytest.mark.parametrize("arguments", [["tpic"], ["dev", "stpo"], ["topic", "creat"]])
def test_an_unknown_command_offers_the_nearest(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == ExitCode.USAGE
    assert "did you mean" in result.stderr and not result.stdout


def test_a_group_names_its_commands_where_none_is_near() -> None:
    result = CliRunner().invoke(cli, ["context", "create"], prog_name="streamctl")
    assert "there is no command 'create'; `streamctl context` has add, list," in result.stderr


def test_an_unknown_option_offers_the_nearest_alone() -> None:
    for arguments in (["consume", "t", "--from-begining"], ["consume", "--from-begining", "t"]):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == ExitCode.USAGE
        assert "there is no option '--from-begining'; did you mean '--from-beginning'?" in result.stderr
    assert (
        "there is no option '--verison'; did you mean '--version'?"
        in CliRunner().invoke(cli, ["--verison"]).stderr
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownTopicError("topic 'x'"), ExitCode.NOT_FOUND),
        (UnavailableError("nobody answers"), ExitCode.UNAVAILABLE),
        (TimedOutError("too late"), ExitCode.UNAVAILABLE),
        (TimeoutError(), ExitCode.UNAVAILABLE),
        (InvalidSettingError("bad"), ExitCode.USAGE),
        (DiskFullError("full"), ExitCode.FAILED),
        (FileNotFoundError(2, "No such file", "lines.txt"), ExitCode.FAILED),
        (ZeroDivisionError("oops"), ExitCode.FAILED),
        (CommandError("ill", ExitCode.UNHEALTHY), ExitCode.UNHEALTHY),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
)
def test_every_failure_has_its_exit_code_and_no_traceback(error: BaseException, code: ExitCode) -> None:
    def fail() -> None:
        raise error

    result = CliRunner().invoke(root_around(fail), ["go"])
    assert result.exit_code == code
    assert "Traceback" not in result.stderr and not result.stdout


def test_an_error_says_cause_and_advice() -> None:
    error = as_command_error(UnknownTopicError("topic 'fligths' does not exist"))
    assert error.message.startswith("topic 'fligths' does not exist")
    assert UnknownTopicError.advice in error.message


def test_debug_lets_the_exception_through() -> None:
    def fail() -> None:
        raise StreamkeepError("story")

    result = CliRunner().invoke(root_around(fail), ["--debug", "go"])
    assert isinstance(result.exception, StreamkeepError)


def test_common_options_hold_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str, float]] = []

    @click.group()
    @cluster_options
    def root() -> None:
        pass

    @root.command()
    @cluster_options
    @pass_invocation
    def go(invocation: Invocation) -> None:
        seen.append((invocation.bootstrap, invocation.output, invocation.request_timeout_s))

    monkeypatch.setenv("STREAMKEEP_BOOTSTRAP", "env:1")
    for arguments in (["go"], ["-b", "a:1", "-o", "json", "go"], ["go", "-b", "a:1", "-o", "json"]):
        assert CliRunner().invoke(root, arguments).exit_code == 0
    assert CliRunner().invoke(root, ["-b", "a:1", "go", "-b", "b:2", "--timeout", "3"]).exit_code == 0
    monkeypatch.delenv("STREAMKEEP_BOOTSTRAP")
    assert CliRunner().invoke(root, ["go"]).exit_code == 0
    assert seen == [
        ("env:1", "table", 5),
        ("a:1", "json", 5),
        ("a:1", "json", 5),
        ("b:2", "table", 3),
        ("", "table", 5),
    ]


def test_version_as_json_names_the_parts() -> None:
    result = CliRunner().invoke(cli, ["version", "-o", "json"])
    assert {"streamkeep", "python", "grpcio"} <= set(json.loads(result.stdout))


def test_the_nearest_name_is_offered_only_if_it_is_near() -> None:
    assert nearest("fligths", ["flights", "weather"]) == "; did you mean 'flights'?"
    assert nearest("xyz", ["flights"]) == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["consume", "t", "--from-beginning", "-O", "5"], "give one"),
        (["consume", "t", "-o", "json", "-f", "%s"], "give one"),
        (["consume", "t", "-O", "yesterday"], "-N (the last N)"),
        (["consume", "t", "-f", "%q"], "%q"),
        (["consume", "t", "-O", "7:5"], "ends before it starts"),
        (["produce", "t", "-H", "novalue"], "NAME=VALUE"),
        (["produce", "t", "-K", ""], "leave -K out"),
        (["topic", "list", "--timeout", "nan"], "not a number of seconds"),
        (["topic", "list", "--timeout", "inf"], "0.1<=x<=86400"),
        (["topic", "create", "t", "--set", "retention_ms"], "NAME=VALUE"),
        (["topic", "alter", "t"], "nothing to change"),
        (["topic", "list", "-b", "nowhere"], "host:port"),
        (["topic", "list", "-b", "http://localhost:7101"], "host:port"),
        (["dev", "--coordinators", "8"], "1<=x<=7"),
    ],
)
def test_a_wrong_line_is_a_usage_error_that_says_what_is_right(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == ExitCode.USAGE and says in result.stderr and not result.stdout


def test_ctrl_c_at_a_question_is_an_interruption_and_no_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> None:
        click.confirm("Delete it?", abort=True, err=True)

    def ask_who_interrupts() -> None:
        monkeypatch.setattr("click.termui.visible_prompt_func", interrupt)
        ask()

    def interrupt(_prompt: str) -> str:
        raise KeyboardInterrupt

    answered = CliRunner().invoke(root_around(ask), ["go"], input="n\n")
    assert answered.exit_code == ExitCode.FAILED and "Aborted!" in answered.stderr
    interrupted = CliRunner().invoke(root_around(ask_who_interrupts), ["go"])
    assert interrupted.exit_code == ExitCode.INTERRUPTED and "Aborted!" not in interrupted.stderr

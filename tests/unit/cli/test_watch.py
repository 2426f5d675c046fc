"""--watch: looks that follow each other, and what may pass between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from streamctl.invocation import Invocation
from streamctl.watch import look
from streamkeep.errors import UnavailableError, UnknownTopicError
from tests.unit.cli.command_tree import parse
from tests.unit.cli.fake_admin import FakeAdmin, fake_cluster


def finding(*answers: Any) -> Callable[[Any], Awaitable[Any]]:
    """One after the other; then Ctrl-C."""
    left = list(answers)

    async def find(_cluster: Any) -> Any:
        if not left:
            raise KeyboardInterrupt
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return find


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cluster(FakeAdmin(), monkeypatch)


def watched(*answers: Any, output: str = "table", watch_s: float | None = 0.0001) -> list[Any]:
    shown: list[Any] = []
    invocation = Invocation(output=output)
    if watch_s is None:
        look(invocation, None, finding(*answers), shown.append)
    else:
        with pytest.raises(KeyboardInterrupt):
            look(invocation, watch_s, finding(*answers), shown.append)
    return shown


def test_one_look_is_one_look() -> None:
    assert watched(1, 2, watch_s=None) == [1]


def test_what_may_pass_is_told_and_waited_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert watched(1, UnavailableError("nobody answers"), 2) == [1, 2]
    assert "No answer now: nobody answers" in capsys.readouterr().err


def test_what_will_not_pass_ends_it() -> None:
    with pytest.raises(UnknownTopicError):
        look(Invocation(), 0.0001, finding(1, UnknownTopicError("gone")), lambda _: None)
    with pytest.raises(UnavailableError):
        look(Invocation(), 0.0001, finding(UnavailableError("not even once")), lambda _: None)


@pytest.mark.parametrize(("output", "between"), [("table", "\n"), ("yaml", "---\n"), ("json", "")])
def test_without_a_terminal_looks_follow_each_other(
    output: str, between: str, capsys: pytest.CaptureFixture[str]
) -> None:
    watched(1, 2, 3, output=output)
    assert capsys.readouterr().out == between * 2


def test_on_a_terminal_each_look_takes_the_place_of_the_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("streamctl.watch.is_colourful", lambda _stream: True)
    watched(1, 2)
    assert capsys.readouterr().out == "\x1b[H\x1b[J" * 2
    watched(1, 2, output="json")
    assert "\x1b" not in capsys.readouterr().out


def test_the_number_may_be_left_out_wherever_the_option_stands() -> None:
    for arguments in (
        ["topic", "describe", "--watch", "flights"],
        ["topic", "describe", "flights", "--watch"],
        ["topic", "describe", "--watch=0.5", "flights"],
        ["quorum", "status", "--watch"],
    ):
        parse(arguments)

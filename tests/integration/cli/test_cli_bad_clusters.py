"""A cluster that is not there, half there, silent, or something else: told soon and in a sentence."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streamctl.failures import ExitCode
from tests.integration.cli.program import Streamctl

pytestmark = pytest.mark.process


@contextmanager
def listener(*, is_listening: bool) -> Iterator[str]:
    """The address of a socket that accepts and never answers, or refuses every connection."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if is_listening:
            bound.listen()
        host, port = bound.getsockname()
        yield f"{host}:{port}"


@pytest.mark.parametrize(
    "command", [("topic", "list"), ("consume", "t"), ("produce", "t"), ("cluster", "health")]
)
def test_where_nobody_listens_is_told_in_short(bare: Streamctl, command: tuple[str, ...]) -> None:
    with listener(is_listening=False) as one, listener(is_listening=False) as other:
        told = bare.process(*command, "-b", f"{one},{other}", expect=ExitCode.UNAVAILABLE).err
    assert f"no coordinator answers at {one}, {other} (connection refused)" in told and "grpc" not in told


def test_a_name_that_no_host_has_is_told_as_such(bare: Streamctl) -> None:
    told = bare.process("topic", "list", "-b", "nowhere.invalid:7101", expect=ExitCode.UNAVAILABLE).err
    assert "nowhere.invalid:7101" in told


def test_a_listener_that_never_answers_is_given_up_after_the_timeout(bare: Streamctl) -> None:
    with listener(is_listening=True) as silent:
        told = bare.process("topic", "list", "-b", silent, "--timeout", "0.5", expect=ExitCode.UNAVAILABLE)
    assert f"no coordinator at {silent} answered in time" in told.err


def test_half_of_the_bootstrap_list_may_be_dead_and_one_of_it_silent(streamctl: Streamctl) -> None:
    assert streamctl.bootstrap is not None
    alive = streamctl.bootstrap.split(",")[0]
    with listener(is_listening=False) as dead, listener(is_listening=True) as silent:
        streamctl.process("topic", "list", "-b", f"{dead},{silent},{alive}")


def test_the_address_of_a_broker_is_told_from_a_coordinators(streamctl: Streamctl) -> None:
    brokers = streamctl("cluster", "describe", "-o", "json").json["brokers"]
    told = streamctl("topic", "list", "-b", brokers[0]["address"], expect=ExitCode.FAILED).err
    assert "is not a coordinator" in told and "brokers are found through it" in told

"""A cluster that is not there, half there, silent, or something else: told soon and in a sentence."""

from __future__ import annotations

import socket
import socketserver
import threading
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


class Greeting(socketserver.BaseRequestHandler):
    """Of a server that is no cluster's. It goes on listening: closed at once, a connection could be reset
    before the greeting is read."""

    def handle(self) -> None:
        self.request.sendall(b"SSH-2.0-OpenSSH\r\n")
        while self.request.recv(4_096):
            pass


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


@pytest.mark.parametrize(
    "command",
    [
        ("topic", "list", "--timeout", "0.5"),
        ("consume", "t", "--timeout", "0.5"),
        ("produce", "t", "--timeout", "0.5"),
        ("topic", "list"),
    ],
)
def test_a_listener_that_never_answers_is_given_up_after_the_timeout(
    bare: Streamctl, command: tuple[str, ...]
) -> None:
    with listener(is_listening=True) as silent:
        told = bare.process(*command, "-b", silent, expect=ExitCode.UNAVAILABLE).err
    assert f"no coordinator at {silent} answered in time" in told


def test_a_listener_that_is_something_else_is_told_as_such(bare: Streamctl) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        other = f"127.0.0.1:{server.server_address[1]}"
        told = bare.process("topic", "list", "-b", other, "--timeout", "1", expect=ExitCode.UNAVAILABLE).err
        server.shutdown()
    assert f"no coordinator at {other} could answer: what listens there does not speak gRPC" in told


def test_half_of_the_bootstrap_list_may_be_dead_and_one_of_it_silent(streamctl: Streamctl) -> None:
    assert streamctl.bootstrap is not None
    alive = streamctl.bootstrap.split(",")[0]
    with listener(is_listening=False) as dead, listener(is_listening=True) as silent:
        streamctl.process("topic", "list", "-b", f"{dead},{silent},{alive}")


def test_the_address_of_a_broker_is_told_from_a_coordinators(streamctl: Streamctl) -> None:
    brokers = streamctl("cluster", "describe", "-o", "json").json["brokers"]
    told = streamctl("topic", "list", "-b", brokers[0]["address"], expect=ExitCode.FAILED).err
    assert "is not a coordinator" in told and "brokers are found through it" in told

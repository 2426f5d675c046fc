from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from streamkeep_common.grpc_poller import OLDER_POLLER, SWITCH, TESTED_RELEASES, choose_poller


def test_a_tested_release_of_grpc_is_asked_for_the_older_poller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    choose_poller()
    assert os.environ[SWITCH] == OLDER_POLLER


@pytest.mark.parametrize("chosen", ["", "call_v3"])
def test_what_an_operator_has_chosen_stays(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    monkeypatch.setenv(SWITCH, chosen)
    choose_poller()
    assert os.environ[SWITCH] == chosen


def test_a_release_that_was_not_tested_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr("streamkeep_common.grpc_poller.version", lambda _name: "1.99.0")
    choose_poller()
    assert SWITCH not in os.environ


def test_the_release_in_use_is_a_tested_one_and_knows_every_name() -> None:
    """A new release: run the benchmark and the tests both ways, then say here which one it is."""
    assert version("grpcio").startswith(TESTED_RELEASES)
    make_a_channel = "import grpc; grpc.insecure_channel('127.0.0.1:1').close()"
    said = subprocess.run(
        [sys.executable, "-c", make_a_channel],
        env={**os.environ, SWITCH: OLDER_POLLER},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Unknown experiment" not in said.stderr


@pytest.mark.parametrize("role", ["broker", "coordinator"])
def test_a_server_chooses_before_grpc_is_imported(role: str) -> None:
    watched = (
        "import runpy, sys, streamkeep_common.grpc_poller as poller\n"
        "real = poller.choose_poller\n"
        "def choose():\n"
        "    assert 'grpc' not in sys.modules\n"
        "    real()\n"
        "    print('chosen')\n"
        "poller.choose_poller = choose\n"
        "sys.argv[1:] = ['--help']\n"
        f"runpy.run_module('streamkeep_{role}', run_name='__main__')\n"
    )
    said = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("chosen")

"""The life of a server process, watched from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.process

HEAD = """
import asyncio, sys
from streamkeep_common.errors import ClusterMismatchError
from streamkeep_common.server import logs, process
from streamkeep_common.server.metrics import Metrics

class Component:
    address = "127.0.0.1:7201"
    async def start(self): pass
    async def stop(self): print("stopped", flush=True)

def run(make, **options):
    logs.configure()
    rest = {"metrics": Metrics(), "metrics_address": "127.0.0.1:0", "stop_timeout_s": 1.0, **options}
    process.run(make, role="broker", node_id=1, **rest)
"""


@contextmanager
def started(program: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HEAD + program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            yield server
        finally:
            server.kill()


def read_line(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return server.stdout.readline()


def ended(server: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = server.communicate(timeout=30)
    return server.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_once_that_it_is_ready_serves_and_stops_in_order(number: signal.Signals) -> None:
    with started("run(lambda on_failure: Component())") as server:
        ready = json.loads(read_line(server))
        metrics_address = ready.pop("metrics")
        assert ready == {"ready": "broker", "id": 1, "address": "127.0.0.1:7201"}
        with urllib.request.urlopen(f"http://{metrics_address}/metrics", timeout=10) as answer:
            assert b"process_resident_memory_bytes" in answer.read()
        server.send_signal(number)
        assert ended(server) == (0, "stopped\n", "")


def test_what_keeps_it_from_starting_is_one_sentence() -> None:
    program = """
class Failing(Component):
    async def start(self): raise ClusterMismatchError("directory /data belongs to another cluster")
run(lambda on_failure: Failing())
"""
    with started(program) as server:
        code, out, err = ended(server)
    assert (code, out) == (1, "")
    assert err.startswith("streamkeep broker 1: directory /data belongs to another cluster")
    assert err.count("\n") == 1


def test_an_os_error_names_its_file() -> None:
    program = """
class Failing(Component):
    async def start(self): raise PermissionError(13, "Permission denied", "/data")
run(lambda on_failure: Failing())
"""
    with started(program) as server:
        assert ended(server) == (1, "", "streamkeep broker 1: Permission denied: /data\n")


def test_a_taken_metrics_port_is_one_sentence_and_nothing_is_started() -> None:
    program = """
import socket
taken = socket.socket()
taken.bind(("127.0.0.1", 0))
taken.listen()
process.run(lambda on_failure: Component(), role="broker", node_id=1, metrics=Metrics(),
            metrics_address="127.0.0.1:%d" % taken.getsockname()[1], stop_timeout_s=1.0)
"""
    with started(program) as server:
        code, out, err = ended(server)
    assert (code, out) == (1, "")
    assert "address already in use" in err
    assert err.count("\n") == 1


def test_debug_adds_the_traceback() -> None:
    program = """
class Failing(Component):
    async def start(self): raise OSError(28, "No space left on device")
run(lambda on_failure: Failing(), debug=True)
"""
    with started(program) as server:
        code, _, err = ended(server)
    assert code == 1
    assert "Traceback" in err
    assert err.endswith("streamkeep broker 1: No space left on device\n")


def test_a_bug_is_told_with_its_traceback() -> None:
    program = """
class Failing(Component):
    async def start(self): raise LookupError("a bug")
run(lambda on_failure: Failing())
"""
    with started(program) as server:
        code, _, err = ended(server)
    assert code == 1
    assert "LookupError: a bug" in err


def test_a_component_that_cannot_go_on_ends_the_process() -> None:
    program = """
def make(on_failure):
    class Dying(Component):
        async def start(self):
            asyncio.get_running_loop().call_later(0.01, on_failure, OSError(5, "the metadata log is lost"))
    return Dying()
run(make)
"""
    with started(program) as server:
        code, out, err = ended(server)
    assert code == 1
    assert out.endswith("stopped\n")
    assert err == "streamkeep broker 1: the metadata log is lost\n"


def test_a_signal_during_the_start_ends_it() -> None:
    program = """
class Slow(Component):
    async def start(self):
        print("starting", flush=True)
        await asyncio.sleep(1000)
run(lambda on_failure: Slow())
"""
    with started(program) as server:
        assert read_line(server) == "starting\n"
        server.send_signal(signal.SIGTERM)
        assert ended(server) == (0, "stopped\n", "")


HANGING = """
class Hanging(Component):
    async def stop(self):
        print("stopping", flush=True)
        await asyncio.sleep(1000)
"""


def test_stopping_is_bounded() -> None:
    with started(HANGING + "run(lambda on_failure: Hanging(), stop_timeout_s=0.05)") as server:
        read_line(server)
        server.send_signal(signal.SIGTERM)
        code, out, err = ended(server)
    assert (code, out) == (1, "stopping\n")
    assert "left to recovery" in err


def test_a_second_signal_ends_it_at_once() -> None:
    with started(HANGING + "run(lambda on_failure: Hanging(), stop_timeout_s=1000)") as server:
        read_line(server)
        server.send_signal(signal.SIGTERM)
        assert read_line(server) == "stopping\n"
        server.send_signal(signal.SIGTERM)
        assert ended(server) == (1, "", "")


def test_a_thread_that_waits_for_a_dead_disk_does_not_keep_it_from_ending() -> None:
    program = """
import threading
threading.Thread(target=threading.Event().wait).start()
run(lambda on_failure: Component())
"""
    with started(program) as server:
        read_line(server)
        server.send_signal(signal.SIGTERM)
        assert ended(server) == (0, "stopped\n", "")

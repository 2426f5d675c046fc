"""The command line through two dead leaders: a feed of numbers goes in, and each of them comes out once."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from streamkeep_common.seams.real.clock import RealClock
from tests.integration.cli.program import TIMEOUT_S, Streamctl, kill

pytestmark = pytest.mark.process

DATA_DIR = "cluster"
LINE_EVERY_S = 0.002


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Streamctl]:
    """What `streamctl dev` starts when nothing else is said."""
    program = Streamctl(tmp_path)
    start = ("dev", "--detach", "--port-base", "0", "--data-dir", str(tmp_path / DATA_DIR), "-o", "json")
    processes = program.process(*start).json
    addresses = [process["address"] for process in processes if process["role"] == "coordinator"]
    yield Streamctl(tmp_path, bootstrap=",".join(addresses))
    program("dev", "stop", "--data-dir", str(tmp_path / DATA_DIR))


class PacedLines:
    """Numbers, one a line, into the standard input of a process, until told that it is enough."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        self._pipe = process.stdin
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.written = 0
        self._thread.start()

    def end(self) -> None:
        self._enough.set()
        self._thread.join(TIMEOUT_S)

    def _write(self) -> None:
        while not self._enough.wait(LINE_EVERY_S):
            self._pipe.write(b"%d\n" % self.written)
            self._pipe.flush()
            self.written += 1
        self._pipe.close()


def partitions(cluster: Streamctl) -> list[dict[str, Any]]:
    described = cluster("topic", "describe", "t", "-o", "json").json
    return cast("list[dict[str, Any]]", described["partitions"])


def until(condition: Callable[[], bool]) -> None:
    clock = RealClock()
    deadline_s = clock.monotonic() + TIMEOUT_S
    while not condition():
        assert clock.monotonic() < deadline_s


def all_in_sync(cluster: Streamctl) -> bool:
    return all(sorted(each["isr"]) == sorted(each["replicas"]) for each in partitions(cluster))


def kill_a_leader(cluster: Streamctl, *, other_than: int | None = None) -> int:
    """kill -9 of a broker that leads a partition; its id."""
    leader = next(each["leader"] for each in partitions(cluster) if each["leader"] != other_than)
    status = cluster("dev", "status", "-o", "json", "--data-dir", str(cluster.home / DATA_DIR)).json
    kill(next(each["pid"] for each in status if (each["role"], each["id"]) == ("broker", leader)))
    return int(leader)


def restart(cluster: Streamctl, broker: int) -> None:
    directory = str(cluster.home / DATA_DIR)
    cluster.process("dev", "start-process", "broker", str(broker), "--data-dir", directory)
    until(lambda: all_in_sync(cluster))


def test_a_paced_producer_survives_two_dead_leaders_and_every_number_is_there_once(
    cluster: Streamctl,
) -> None:
    created = cluster("topic", "create", "t", "--partitions", "6")
    assert "6 partitions, RF 3, min ISR 2" in created.err
    producer = cluster.start("produce", "t", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = PacedLines(producer)
    try:
        until(lambda: sum(each["high_watermark"] or 0 for each in partitions(cluster)) > 100)
        first = kill_a_leader(cluster)
        until(lambda: all(each["leader"] not in (None, first) for each in partitions(cluster)))
        restart(cluster, first)
        second = kill_a_leader(cluster, other_than=first)
        until(lambda: all(each["leader"] not in (None, second) for each in partitions(cluster)))
    finally:
        lines.end()
    assert producer.wait(TIMEOUT_S) == 0
    assert producer.stderr is not None
    assert producer.stderr.read().endswith(b"%d records acknowledged\n" % lines.written)
    producer.stderr.close()
    restart(cluster, second)
    read = cluster.process("consume", "t", "--from-beginning", "--exit-at-end", "-f", "%s\\n")
    assert sorted(map(int, read.out.split())) == list(range(lines.written))
    verified = cluster("partition", "verify", "t")
    assert "identical" in verified.out.decode() + verified.err

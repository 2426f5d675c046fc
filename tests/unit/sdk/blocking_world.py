"""A cluster within this process for programs that use threads, and Ctrl-C at the moment a test wants it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from streamkeep.blocking import Consumer, Record
from streamkeep.testing import Cluster

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


def stored(cluster: Cluster, topic: str) -> list[Record]:
    """By partition, then by offset."""
    with Consumer(cluster.bootstrap) as consumer:
        topic_partitions = consumer.partitions_for(topic)
        consumer.assign(topic_partitions)
        records = list(consumer.records(until=consumer.end_offsets(topic_partitions)))
    return sorted(records, key=lambda record: (record.partition, record.offset))


def values(cluster: Cluster, topic: str) -> list[bytes | None]:
    return [record.value for record in stored(cluster, topic)]


@contextmanager
def ctrl_c_when(condition: Callable[[], bool]) -> Iterator[None]:
    """Ctrl-C as soon as the condition holds; the block has to end with it."""
    armed, over = threading.Event(), threading.Event()

    def strike() -> None:
        armed.wait(DEADLINE_S)
        while not condition():
            assert not over.wait(0.001), "it ended too soon"
        signal.pthread_kill(_main_thread(), signal.SIGINT)

    striking = threading.Thread(target=strike)
    striking.start()
    with pytest.raises(KeyboardInterrupt):
        armed.set()
        try:
            yield
        finally:
            over.set()
    striking.join(DEADLINE_S)


def main_thread_waits() -> bool:
    """The main thread is inside a call to the loop, or waits for room."""
    code = sys._current_frames()[_main_thread()].f_code
    return (code.co_filename, code.co_name) == (threading.__file__, "wait")


def _main_thread() -> int:
    ident = threading.main_thread().ident
    assert ident is not None, "it runs"
    return ident

"""Programs that use the blocking SDK with a real cluster: how they end, by themselves, by Ctrl-C, forked."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from streamkeep.testing import Cluster

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(processes=True) as cluster:
        yield cluster


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    head = "import os, sys\nfrom streamkeep.blocking import Consumer, Producer\n"
    head += "bootstrap, topic = sys.argv[1:] or ('', '')\n"
    command = [sys.executable, "-W", "always", "-c", head + program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_end_of_the_interpreter_delivers_what_nobody_closed_and_says_so(cluster: Cluster) -> None:
    topic = cluster.topic()
    program = """
producer = Producer(bootstrap)
producer.start()
for number in range(1000):
    producer.send(topic, b"%d" % number)
"""
    output, complaints = start(program, cluster.bootstrap, topic).communicate(timeout=60)
    assert output == ""
    assert complaints.count("ResourceWarning") == 1 and "was not closed" in complaints
    assert len(cluster.records(topic)) == 1_000


def test_ctrl_c_ends_a_program_and_its_block_delivers(cluster: Cluster) -> None:
    topic = cluster.topic()
    program = """
with Producer(bootstrap) as producer, Consumer(bootstrap) as consumer:
    consumer.assign([(topic, 0)], start="latest")
    producer.partitions_for(topic)
    try:
        print("ready", flush=True)
        while True:
            next(consumer)
    finally:
        producer.send(topic, b"last")
"""
    running = start(program, cluster.bootstrap, topic)
    assert running.stdout is not None and running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGINT)
    _, complaints = running.communicate(timeout=60)
    assert running.returncode == -signal.SIGINT
    assert complaints.rstrip().endswith("KeyboardInterrupt") and "ResourceWarning" not in complaints
    assert [record.value for record in cluster.records(topic)] == [b"last"]


def test_a_forked_child_is_told_at_once_and_its_parent_goes_on() -> None:
    """Within one process: gRPC itself may crash in the child of a fork, before anything is asked of us."""
    program = """
from streamkeep.testing import Cluster

with Cluster() as cluster:
    topic = cluster.topic()
    with Producer(cluster.bootstrap) as producer:
        producer.send(topic, b"1").result()
        pending = producer.send(topic, b"2")
        child = os.fork()
        if not child:
            new = Consumer(cluster.bootstrap)
            for call in (lambda: producer.send(topic, b"3"), producer.flush, lambda: new.assign([])):
                try:
                    call()
                except RuntimeError as error:
                    print(str(error).split(" after")[0], flush=True)
            producer.close()
            os._exit(0)
        os.waitpid(child, 0)
        pending.result()
    print(len(cluster.records(topic)))
"""
    output, complaints = start(program).communicate(timeout=60)
    assert output.splitlines() == [*["this process was forked"] * 3, "2"], complaints


def test_the_asyncio_sdk_on_another_loop_makes_no_noise(cluster: Cluster) -> None:
    topic = cluster.topic()
    program = """
import asyncio
import streamkeep

async def send():
    async with streamkeep.Producer(bootstrap) as theirs:
        for number in range(100):
            await (await theirs.send(topic, b"theirs"))
            await asyncio.to_thread(lambda: ours.send(topic, b"ours").result())

with Producer(bootstrap) as ours:
    asyncio.run(send())
    ours.send(topic, b"last").result()
"""
    output, complaints = start(program, cluster.bootstrap, topic).communicate(timeout=60)
    assert (output, complaints) == ("", "")
    assert len(cluster.records(topic)) == 201

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


def start(program: str, *arguments: str, warnings: str = "always") -> subprocess.Popen[str]:
    head = "import os, sys\nfrom streamkeep.blocking import Consumer, Producer\n"
    head += "bootstrap, topic = sys.argv[1:] or ('', '')\n"
    command = [sys.executable, "-W", warnings, "-c", head + program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("warnings", ["always", "error"])
def test_the_end_of_the_interpreter_delivers_what_nobody_closed_and_says_so(
    cluster: Cluster, warnings: str
) -> None:
    topic = cluster.topic()
    program = """
producer = Producer(bootstrap)
producer.start()
for number in range(1000):
    producer.send(topic, b"%d" % number)
"""
    output, complaints = start(program, cluster.bootstrap, topic, warnings=warnings).communicate(timeout=60)
    assert output == ""
    assert complaints.count("ResourceWarning: <") == 1 and "was not closed" in complaints
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


def test_a_forked_child_is_told_at_once_and_its_parent_goes_on(cluster: Cluster) -> None:
    topic = cluster.topic()
    program = """
with Producer(bootstrap) as producer, Consumer(bootstrap) as consumer:
    consumer.assign([(topic, 0)])
    for number in range(8):
        pending = producer.send(topic, b"%d" % number)
        child = os.fork()
        if not child:
            new = lambda: Consumer(bootstrap)
            for call in (lambda: producer.send(topic, b"-"), producer.flush, lambda: next(consumer), new):
                try:
                    call()
                except RuntimeError as error:
                    print(str(error).split(" after")[0])
            break
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        pending.result()
"""
    output, complaints = start(program, cluster.bootstrap, topic).communicate(timeout=60)
    assert output.splitlines() == [*["this process was forked"] * 4, "0"] * 8, complaints
    assert complaints == ""
    assert [record.value for record in cluster.records(topic)] == [b"%d" % number for number in range(8)]


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

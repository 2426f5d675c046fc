"""Reading from the replica in the rack of the reader, with real processes: it serves, and may die."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamkeep import Admin, Consumer
from streamkeep.consumer.records import Record
from tests.acceptance.replication.status import all_in_sync, topic_when
from tests.integration.cli.program import Streamctl
from tests.integration.cluster import Cluster
from tests.integration.replication.feed import DEADLINE_S, TOPIC, Feed
from tests.integration.server_process import ServerProcess

pytestmark = pytest.mark.process


def rack_of(broker: int) -> str:
    return f"rack-{broker}"


async def counted(broker: ServerProcess, name: str) -> float:
    """One counter, as an operator sees it."""
    url = f"http://{broker.ready['metrics']}/metrics"
    page = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=DEADLINE_S).read().decode())
    return next(
        float(line.split()[1]) for line in page.splitlines() if line.startswith(f"streamkeep_{name}_total ")
    )


def consume(folder: Path, bootstrap: str, *, rack: str) -> None:
    """The first ten records, by the command line."""
    streamctl = Streamctl(folder, bootstrap=bootstrap)
    read = streamctl.process("consume", TOPIC, "--from-beginning", "-c", "10", "--rack", rack)
    assert read.out.split() == [b"%d" % number for number in range(10)]


async def take(records: AsyncIterator[Record], numbers: list[int], *, up_to: int) -> None:
    while len(numbers) < up_to:
        numbers.append(int((await anext(records)).value or b"-1"))


async def test_the_replica_in_the_readers_rack_serves_it_and_its_death_loses_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    cluster = Cluster(tmp_path, brokers=3, broker_flags={"metrics-listen": "127.0.0.1:0"})
    for number, broker in cluster.brokers.items():
        broker.flags["rack"] = rack_of(number)
    async with asyncio.timeout(DEADLINE_S), cluster, Admin(cluster.bootstrap) as admin:
        await admin.create_topic(TOPIC, partitions=1)
        (partition,) = (await topic_when(admin, TOPIC, all_in_sync)).partitions
        leader, near, other = (
            cluster.brokers[each]
            for each in sorted(partition.replicas, key=lambda each: each != partition.leader)
        )
        numbers: list[int] = []
        async with (
            Feed(cluster.bootstrap) as feed,
            Consumer(cluster.bootstrap, rack=near.flags["rack"]) as consumer,
        ):
            await consumer.assign([(TOPIC, 0)], start="earliest")
            records = aiter(consumer)
            await take(records, numbers, up_to=100)
            assert await counted(near, "follower_fetched_bytes") > 0
            assert await counted(other, "fetched_bytes") == 0
            await asyncio.to_thread(consume, tmp_path, cluster.bootstrap, rack=other.flags["rack"])
            assert await counted(other, "follower_fetched_bytes") > 0
            assert await counted(leader, "fetched_bytes") == 0
            await near.kill()
            await feed.goes_on()
            await take(records, numbers, up_to=feed.sent)
            assert await counted(leader, "fetched_bytes") > 0
        assert numbers == list(range(len(numbers)))

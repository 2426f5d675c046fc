"""The cluster that users' tests hold, in its default kind: within the process."""

from __future__ import annotations

import asyncio
import inspect
import threading
import warnings
from collections import Counter
from typing import Any

import pytest

from streamkeep import Admin, Client, Consumer, Producer, blocking, metadata_cache
from streamkeep.errors import (
    InvalidSettingError,
    TopicExistsError,
    UnavailableError,
    UnknownSettingError,
    UnknownTopicError,
)
from streamkeep.testing import AsyncCluster, Cluster, ClusterError, MissingExtraError
from streamkeep_common.retry import Backoff
from streamkeep_common.seams.memory import network


async def program(bootstrap: str, topic: str, *values: bytes) -> list[int]:
    """What users test: it knows nothing of clusters for tests. The partitions that it wrote to."""
    async with Producer(bootstrap) as producer:
        deliveries = [await producer.send(topic, value, key=value) for value in values]
        return [(await delivery).partition for delivery in deliveries]


async def first_value(bootstrap: str, topic: str) -> bytes | None:
    async with Consumer(bootstrap) as consumer:
        await consumer.assign(await consumer.partitions_for(topic))
        return (await anext(consumer)).value


def values(cluster: Cluster, topic: str) -> list[bytes | None]:
    return [record.value for record in cluster.records(topic)]


# --- programs and what they write ---


async def test_what_a_program_has_written_is_in_the_records(cluster: Cluster) -> None:
    topic = cluster.topic(partitions=3)
    partitions = await program(cluster.bootstrap, topic, b"a", b"b", b"c", b"d")
    records = await cluster.aio.records(topic)
    assert sorted(partitions) == [record.partition for record in records]
    assert sorted(record.value or b"" for record in records) == [b"a", b"b", b"c", b"d"]


async def test_a_program_reads_what_was_written(cluster: Cluster) -> None:
    topic = await cluster.aio.topic()
    await program(cluster.bootstrap, topic, b"a")
    assert await first_value(cluster.bootstrap, topic) == b"a"


def test_a_program_is_served_in_any_thread_and_loop(cluster: Cluster) -> None:
    topic = cluster.topic()
    threads = [
        threading.Thread(target=lambda: asyncio.run(program(cluster.bootstrap, topic, b"x", b"y")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert len(cluster.wait_for_records(topic, 6)) == 6
    for thread in threads:
        thread.join()
    assert sorted(values(cluster, topic), key=str) == [b"x"] * 3 + [b"y"] * 3


async def test_large_batches_pass_through_between_loops(cluster: Cluster) -> None:
    topic = cluster.topic()
    async with Producer(cluster.bootstrap) as producer:
        for number in range(60):
            await producer.send(topic, number.to_bytes(2, "big") * 50_000)
    assert [record.value for record in await cluster.aio.records(topic)] == [
        number.to_bytes(2, "big") * 50_000 for number in range(60)
    ]


def test_topics_have_names_and_settings_of_their_own(cluster: Cluster) -> None:
    first, second = cluster.topic("flights"), cluster.topic("flights", partitions=4)
    assert first.startswith("flights-") and second.startswith("flights-") and first != second
    assert cluster.create_topic("named", settings={"retention_ms": "1000"}) == "named"
    with pytest.raises(TopicExistsError):
        cluster.create_topic("named")
    assert cluster.records("named") == []
    with pytest.raises(UnknownTopicError):
        cluster.records("never-made")


def test_one_new_topic_after_the_other_is_not_made_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: Counter[Backoff] = Counter()

    class Counted(Backoff):
        def next_wait_s(self) -> float:
            waits[self] += 1
            return super().next_wait_s()

    monkeypatch.setattr(metadata_cache, "Backoff", Counted)
    with Cluster() as cluster:
        for _ in range(12):
            assert cluster.records(cluster.topic()) == []
    assert max(waits.values(), default=0) < 6, "how often one client had to wait before it asked again"


async def test_records_are_waited_for_and_not_slept_for(cluster: Cluster) -> None:
    topic = cluster.topic()
    waiting = asyncio.ensure_future(cluster.aio.wait_for_records(topic, 2))
    await program(cluster.bootstrap, topic, b"a", b"b")
    assert [record.value for record in await waiting] == [b"a", b"b"]


def test_records_that_do_not_come_are_counted(cluster: Cluster) -> None:
    topic = cluster.topic()
    asyncio.run(program(cluster.bootstrap, topic, b"a"))
    with pytest.raises(TimeoutError, match=f"topic '{topic}' has 1 records after 0.05 s, not 2"):
        cluster.wait_for_records(topic, 2, timeout_s=0.05)


async def test_two_clusters_of_one_process_are_strangers() -> None:
    async with Cluster() as one, Cluster() as other:
        await one.create_topic("only-here")
        assert one.bootstrap != other.bootstrap
        async with Admin(other.bootstrap) as admin:
            assert list(await admin.list_topics()) == []


def test_a_blocking_program_is_served_like_any_other(cluster: Cluster) -> None:
    topic = cluster.topic()
    with blocking.Producer(cluster.bootstrap) as producer:
        producer.send(topic, b"a").result()
    with blocking.Consumer(cluster.bootstrap) as consumer:
        consumer.assign(consumer.partitions_for(topic))
        assert next(consumer).value == b"a"


# --- brokers that go and come ---


async def test_a_killed_leader_takes_nothing_with_it_that_was_acknowledged(cluster: Cluster) -> None:
    topic = await cluster.aio.topic()
    async with Producer(cluster.bootstrap) as producer:
        await (await producer.send(topic, b"before"))
        killed = await cluster.aio.kill_leader(topic)
        assert killed not in cluster.brokers and cluster.has_stopped_brokers
        assert await cluster.aio.leader(topic) != killed
        await (await producer.send(topic, b"after"))
    assert [record.value for record in await cluster.aio.records(topic)] == [b"before", b"after"]
    await cluster.aio.restore()
    assert cluster.brokers == [1, 2, 3] and not cluster.has_stopped_brokers


def test_a_broker_comes_back_with_its_data() -> None:
    with Cluster() as cluster:
        topic = cluster.topic()
        asyncio.run(program(cluster.bootstrap, topic, b"kept"))
        cluster.stop_broker(1)
        assert cluster.brokers == []
        cluster.start_broker(1)
        assert values(cluster, topic) == [b"kept"]
        assert cluster.kill_leader(topic) == 1, "nobody is waited for: no other can lead"
        with pytest.raises(ClusterError, match=f"{topic}-0 has no leader"):
            cluster.leader(topic)
        cluster.start_broker(1)
        cluster.wait_until_in_sync()
        assert values(cluster, topic) == [b"kept"]


def test_what_is_not_in_sync_is_named(cluster: Cluster) -> None:
    topic = cluster.topic()
    cluster.stop_broker(2)
    with pytest.raises(TimeoutError, match=r"-0, led by \d, not in sync: \[2\]"):
        cluster.wait_until_in_sync(timeout_s=0.05)
    asyncio.run(program(cluster.bootstrap, topic, b"missed"))
    cluster.restore()
    assert cluster.brokers == [1, 2, 3]


def test_a_broker_that_cannot_be_meant_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="no broker 7: the cluster has 1, 2, 3"):
        cluster.stop_broker(7)
    with pytest.raises(ClusterError, match="broker 1 runs already"):
        cluster.start_broker(1)
    cluster.kill_broker(1)
    with pytest.raises(ClusterError, match="broker 1 does not run"):
        cluster.kill_broker(1)
    cluster.restore()
    with pytest.raises(ClusterError, match=r"has partitions 0 to 0, not 1"):
        cluster.kill_leader(cluster.topic(), 1)


# --- from start to end ---


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_however_the_block_ends(error: type[BaseException]) -> None:
    served = dict(network._listeners)
    with pytest.raises(error), Cluster() as cluster:
        cluster.topic()
        raise error
    assert network._listeners == served
    with pytest.raises(RuntimeError, match="does not run"):
        cluster.topic()
    cluster.close()


@pytest.mark.usefixtures("nothing_left")
async def test_nothing_is_left_of_a_start_that_was_cancelled() -> None:
    starting = asyncio.ensure_future(Cluster().__aenter__())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting


@pytest.mark.usefixtures("nothing_left")
def test_a_cluster_that_cannot_start_says_why() -> None:
    with pytest.raises(InvalidSettingError, match="4 times raft_heartbeat_ms"):
        Cluster(coordinator_settings={"raft_heartbeat_ms": "1000"}).__enter__()
    with pytest.raises(InvalidSettingError, match="replica_lag_ms"):
        Cluster(broker_settings={"replica_lag_ms": "soon"})
    with pytest.raises(ValueError, match="1 to 7 coordinators"):
        Cluster(coordinators=8)


@pytest.mark.usefixtures("nothing_left")
def test_a_forgotten_cluster_complains_and_ends() -> None:
    cluster = Cluster().__enter__()
    with pytest.warns(ResourceWarning, match="was not closed"):
        del cluster


def test_a_forgotten_cluster_that_is_collected_on_its_own_thread_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others, complaints = set(threading.enumerate()), list[str]()
    monkeypatch.setattr(warnings, "warn", lambda complaint, *_, **__: complaints.append(complaint))
    cluster = Cluster().__enter__()
    background = cluster._background
    assert background is not None

    async def forget(forgotten: list[Cluster]) -> None:
        forgotten.clear()

    forgotten = [cluster]
    del cluster
    background.call(forget(forgotten))
    for thread in set(threading.enumerate()) - others:
        thread.join(60)
    assert set(threading.enumerate()) <= others
    assert len(complaints) == 1 and "was not closed" in complaints[0]


def test_a_cluster_is_used_once() -> None:
    with Cluster() as cluster:
        pass
    with pytest.raises(RuntimeError, match="make another"), cluster:
        pass


async def test_a_client_of_a_cluster_that_has_ended_is_told_so() -> None:
    async with Cluster() as cluster:
        bootstrap = cluster.bootstrap
    async with Admin(Client(bootstrap), request_timeout_ms=50) as admin:
        with pytest.raises(UnavailableError, match="its cluster has ended"):
            await admin.list_topics()


@pytest.mark.usefixtures("nothing_left")
def test_a_forked_child_is_told_that_the_cluster_is_its_parents() -> None:
    with Cluster() as cluster:
        with pytest.MonkeyPatch.context() as child:
            child.setattr("os.getpid", lambda: 1)
            with pytest.raises(RuntimeError, match="forked"):
                cluster.topic()
        assert cluster.topic() == "topic-1"


def test_without_the_extra_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamkeep.testing.failures.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install '/path/to/streamkeep\[server\]'"):
        Cluster()
    with pytest.raises(MissingExtraError, match=r"pip install '/path/to/streamkeep\[server,cli\]'"):
        Cluster(processes=True)


def test_both_kinds_of_tests_have_the_same_methods() -> None:
    blocking, awaited = surface(Cluster), surface(AsyncCluster)
    for name in ("aio", "close"):
        del blocking[name]
    assert blocking == awaited


def surface(kind: type) -> dict[str, Any]:
    """Public names with their signatures; of properties None."""
    return {
        name: None if isinstance(member, property) else str(inspect.signature(member))
        for name, member in vars(kind).items()
        if not name.startswith("_")
    }


# --- settings ---


async def test_settings_of_topics_may_be_text_numbers_and_flags(cluster: Cluster) -> None:
    topic = await cluster.aio.topic(settings={"retention_ms": 5_000, "segment_bytes": "1MiB"})
    async with Admin(cluster.bootstrap) as admin:
        await admin.alter_topic_settings(topic, set={"retention_ms": 6_000, "unclean_leader_election": True})
        told = await admin.describe_topic_settings(topic)
        names = ("retention_ms", "segment_bytes", "unclean_leader_election")
        assert [told[name].value for name in names] == ["6000", "1048576", "on"]


async def test_a_setting_that_there_is_not_or_that_cannot_be_so_is_told(cluster: Cluster) -> None:
    async with Admin(cluster.bootstrap) as admin:
        with pytest.raises(UnknownSettingError, match=r"'retention\.ms'; did you mean retention_ms\?"):
            await admin.create_topic("never", settings={"retention.ms": 5})
        wrong: Any = {"retention_ms": 5.5}
        with pytest.raises(InvalidSettingError, match="retention_ms is given as text or a number"):
            await admin.create_topic("never", settings=wrong)

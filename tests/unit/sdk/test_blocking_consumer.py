"""Reading from threads: positions, ends, what Ctrl-C leaves behind, and what close ends."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from streamkeep.blocking import Admin, Client, Consumer, Producer
from streamkeep.blocking.portal import PORTAL
from streamkeep.errors import ClosedError, RecordDecodeError, UnknownPartitionError
from streamkeep.serializers import STR
from streamkeep.testing import Cluster
from tests.unit.sdk.blocking_world import cluster, ctrl_c_when, main_thread_waits

__all__ = ["cluster"]


def filled(cluster: Cluster, count: int, *, partitions: int = 1) -> str:
    """A topic with the numbers up to `count`, in each of its partitions."""
    topic = cluster.topic(partitions=partitions)
    with Producer(cluster.bootstrap) as producer:
        for partition in range(partitions):
            producer.send_many(topic, [b"%d" % number for number in range(count)], partition=partition)
    return topic


def test_records_and_batches_go_on_where_the_other_left_off(cluster: Cluster) -> None:
    topic = filled(cluster, 100)
    with Consumer(cluster.bootstrap) as consumer:
        consumer.assign([(topic, 0)])
        assert consumer.assignment() == [(topic, 0)]
        assert [next(consumer).value for _ in range(10)] == [b"%d" % number for number in range(10)]
        assert consumer.position((topic, 0)) == 10 and consumer.lag((topic, 0)) == 90
        batch = next(consumer.batches())
        assert (batch.offsets[0], batch.values[-1]) == (10, b"99")
        assert consumer.position((topic, 0)) == consumer.high_watermark((topic, 0)) == 100
        consumer.seek((topic, 0), 95)
        assert next(iter(consumer)).offset == 95
        assert consumer.metrics().fetch_buffer_bytes > 0


def test_reading_up_to_an_end_ends(cluster: Cluster) -> None:
    topic = filled(cluster, 50, partitions=2)
    with Consumer(cluster.bootstrap) as consumer:
        topic_partitions = consumer.partitions_for(topic)
        consumer.assign(topic_partitions)
        ends = consumer.end_offsets(topic_partitions)
        assert consumer.beginning_offsets(topic_partitions) == dict.fromkeys(topic_partitions, 0)
        assert consumer.offsets_for_times({topic_partitions[0]: 0}) == {topic_partitions[0]: 0}
        some = list(consumer.records(until={topic_partitions[0]: 20}))
        assert [record.offset for record in some] == list(range(20))
        rest = sum(len(batch) for batch in consumer.batches(until=ends))
        assert rest == 80


def test_what_is_paused_is_not_handed_out(cluster: Cluster) -> None:
    topic = filled(cluster, 5, partitions=2)
    with Consumer(cluster.bootstrap) as consumer:
        consumer.assign(consumer.partitions_for(topic))
        consumer.pause((topic, 0))
        assert {next(consumer).partition for _ in range(5)} == {1}
        consumer.resume((topic, 0))
        assert [next(consumer).partition for _ in range(5)] == [0] * 5
        with pytest.raises(UnknownPartitionError):
            consumer.pause((topic, 9))


def test_ctrl_c_leaves_a_wait_and_skips_nothing(cluster: Cluster) -> None:
    topic = filled(cluster, 3)
    with Consumer(cluster.bootstrap) as consumer, Producer(cluster.bootstrap) as producer:
        consumer.assign([(topic, 0)])
        seen: list[int] = []
        for round_number in range(6):
            end = 3 * (round_number + 1)
            with ctrl_c_when(lambda end=end: len(seen) == end and main_thread_waits()):  # type: ignore[misc]
                if round_number % 3 == 0:
                    seen.extend(record.offset for record in consumer)
                elif round_number % 3 == 1:
                    for batch in consumer.batches():
                        seen.extend(batch.offsets)
                else:
                    seen.extend(record.offset for record in consumer.records(until={(topic, 0): 1_000}))
            producer.send_many(topic, [b"v"] * 3).result()
        assert seen == list(range(18))


def test_what_arrived_when_ctrl_c_struck_is_handed_out_by_whatever_reads_next(cluster: Cluster) -> None:
    topic = filled(cluster, 6)
    with Consumer(cluster.bootstrap) as consumer:
        consumer.assign([(topic, 0)])
        consumer._wait()  # as a wait that is left just when the batch has arrived
        assert consumer._on_loop.arrived is not None
        assert consumer.position((topic, 0)) == 0
        consumer._wait()
        assert next(consumer).offset == 0
        consumer._wait()
        assert next(consumer.batches()).offsets[0] == 1
        consumer.seek((topic, 0), 2)
        consumer._wait()
        assert [record.offset for record in consumer.records(until={(topic, 0): 4})] == [2, 3]
        assert next(consumer).offset == 4


def test_what_arrives_after_ctrl_c_has_struck_does_not_come_back_behind_a_seek(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = filled(cluster, 6)
    with Consumer(cluster.bootstrap) as consumer:
        consumer.assign([(topic, 0)])
        consumer._wait()  # so that what is asked for next has been fetched
        consumer.seek((topic, 0), 0)
        consumer._wait()
        consumer._settle()
        gate = threading.Event()
        opening = threading.Thread(target=open_when, args=(gate, main_thread_waits))
        PORTAL.post(gate.wait)

        def strike(work: Coroutine[Any, Any, Any], *, timeout_ms: int | None = None) -> None:
            """The wait is left, and the loop hears of that too late."""
            assert PORTAL._loop is not None
            asyncio.run_coroutine_threadsafe(work, PORTAL._loop)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(PORTAL, "call", strike)
            next(consumer)
        opening.start()
        consumer.seek((topic, 0), 4)
        opening.join()
        assert next(consumer).offset == 4


def open_when(gate: threading.Event, condition: Callable[[], bool]) -> None:
    while not condition():
        pass
    gate.set()


def test_what_cannot_be_read_is_raised_once_and_stepped_over(cluster: Cluster) -> None:
    topic = cluster.topic()
    with Producer(cluster.bootstrap) as producer:
        producer.send_many(topic, [b"a", b"\xff", b"c"]).result()
    with Consumer(cluster.bootstrap, value_serializer=STR) as consumer:
        consumer.assign([(topic, 0)])
        seen = [next(consumer).value]
        with pytest.raises(RecordDecodeError):
            next(consumer)
        seen.append(next(consumer).value)
    assert seen == ["a", "c"]


def test_close_from_another_thread_ends_a_wait(cluster: Cluster) -> None:
    topic = filled(cluster, 0)
    consumer = Consumer(cluster.bootstrap)
    consumer.assign([(topic, 0)])
    closing = threading.Thread(target=consumer.close)
    closing.start()
    with pytest.raises(ClosedError):
        next(consumer)
    closing.join()
    with pytest.raises(ClosedError):
        consumer.assignment()


def test_a_client_is_shared_and_its_calls_cross_over(cluster: Cluster) -> None:
    with Client(cluster.bootstrap) as client, Admin(client) as admin, Consumer(client) as consumer:
        topic = cluster.topic(partitions=2)
        assert topic in [each.name for each in admin.list_topics()]
        assert len(consumer.partitions_for(topic)) == len(admin.describe_topic(topic).partitions) == 2


def test_a_forgotten_close_is_said(cluster: Cluster) -> None:
    consumer = Consumer(cluster.bootstrap)
    consumer.assign([(filled(cluster, 1), 0)])
    with pytest.warns(ResourceWarning, match="Consumer object at .* was not closed"):
        del consumer
        gc.collect()

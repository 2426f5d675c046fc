"""What `Admin` tells and waits for, of real processes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamkeep import Admin, Producer, TopicPartition
from streamkeep.admin.settings import source_name
from streamkeep.errors import TimedOutError, UnknownSettingError, UnknownTopicError
from streamkeep_proto.v1.coordinator_pb2 import AlterTopicSettings, NewTopic
from tests.integration.cluster import Cluster


async def _settings(admin: Admin, cluster: Cluster) -> None:
    broker = await admin.describe_broker_settings(1)
    assert source_name(broker["id"]) == "flag" and broker["id"].origin == "--id"
    assert broker["data_dirs"].value == str(cluster.data_dir(1))
    assert source_name(broker["disk_stall_ms"]) == "default" and broker["disk_stall_ms"].read_only
    told = await admin.describe_settings_of_coordinators()
    assert told.values_or_raise()[1]["initial_members"].value == "1"
    assert list((await admin.describe_settings_of_brokers()).succeeded) == [1, 2]

    answers = await admin.alter_settings_of_topics(
        [
            AlterTopicSettings(name="a", set={"retention.ms": "1d"}),
            AlterTopicSettings(name="b", set={"retention_ms": "1d"}),
        ]
    )
    assert isinstance(answers.outcomes["a"], UnknownSettingError)
    assert "did you mean retention_ms" in str(answers.outcomes["a"])
    assert list(answers.outcomes.succeeded) == ["b"]
    topics = (await admin.describe_settings_of_topics(["a", "b", "c"])).succeeded
    assert source_name(topics["a"]["retention_ms"]) == "default"
    assert (source_name(topics["b"]["retention_ms"]), topics["b"]["retention_ms"].value) == (
        "topic",
        "86400000",
    )
    assert "c" not in topics


async def _features(admin: Admin) -> None:
    features = await admin.describe_features()
    assert features.level == features.supported_level == max(each.level for each in features.levels)
    assert [(each.role, each.id) for each in features.processes] == [
        ("coordinator", 1),
        ("broker", 1),
        ("broker", 2),
    ]


async def _records(admin: Admin, cluster: Cluster) -> None:
    async with Producer(cluster.bootstrap) as producer:
        for value in (b"a", b"b", b"c"):
            await (await producer.send("b", value, partition=0))
    told = await admin.describe_producers("b", 0)
    assert [(each.last_sequence, each.last_offset) for each in told.producers] == [(2, 2)]
    deleted = await admin.delete_records({("b", 0): -1})
    assert deleted.succeeded[TopicPartition("b", 0)].log_start_offset == 3
    earliest = await admin.list_topic_offsets(["b"], "earliest")
    assert [each.offset for each in earliest.values_or_raise().values()] == [3, 0]
    starts = {
        replica.log_start_offset
        for dirs in (await admin.describe_all_log_dirs()).values_or_raise().values()
        for directory in dirs
        for replica in directory.replicas
        if (replica.topic, replica.partition) == ("b", 0)
    }
    assert starts == {3}, "on every replica"


async def _waits(admin: Admin, cluster: Cluster) -> None:
    await admin.wait_until_in_sync()
    await cluster.brokers[2].kill()
    with pytest.raises(TimedOutError, match="not 3 brokers were up"):
        await admin.wait_for_brokers(3, timeout_ms=200)
    waiting = asyncio.ensure_future(admin.wait_for_brokers(2))
    await cluster.start(cluster.brokers[2])
    await waiting
    await admin.wait_until_in_sync("a", "b")
    await admin.delete_topic("b")
    await admin.wait_until_deleted("b")
    assert [each.name for each in await admin.list_topics(pattern="[ab]")] == ["a"]


async def test_an_operator_sees_and_waits_for_what_there_is(tmp_path: Path) -> None:
    async with Cluster(tmp_path, brokers=2) as cluster, Admin(cluster.bootstrap) as admin:
        await admin.wait_for_brokers(2)
        new = [NewTopic(name=name, partitions=2, replication_factor=2) for name in ("a", "b")]
        (await admin.create_topics(new)).outcomes.values_or_raise()
        await admin.wait_until_ready("a", "b")
        await _settings(admin, cluster)
        await _features(admin)
        await _records(admin, cluster)
        await _waits(admin, cluster)
        gone = await admin.describe_settings_of_topics(["b"])
        assert isinstance(gone["b"], UnknownTopicError)

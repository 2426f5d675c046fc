"""What the acceptance runs ask of replicas: who leads, who is in sync, whether they hold the same bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from streamkeep import Admin
from streamkeep_common.errors import StreamkeepError
from streamkeep_common.methods import HASH_REPLICAS
from streamkeep_common.seams import RpcError
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_proto.v1.coordinator_pb2 import PartitionInfo, TopicInfo
from streamkeep_proto.v1.replication_pb2 import HashReplica, HashReplicasRequest, ReplicaHash

LOOK_AGAIN_S = 0.02
CALL_TIMEOUT_S = 60.0


async def topic_when(
    admin: Admin, name: str, condition: Callable[[TopicInfo], bool], *, within_s: float = 30.0
) -> TopicInfo:
    """The first description that fulfils the condition. TimeoutError with the last one."""
    last: TopicInfo | StreamkeepError | None = None
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    last = await admin.describe_topic(name)
                    if condition(last):
                        return last
                except StreamkeepError as error:
                    last = error
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        raise TimeoutError(f"topic {name}: not within {within_s} s; at last: {last}") from None


def all_in_sync(topic: TopicInfo) -> bool:
    """Every partition has a leader, and all of its replicas are in sync."""
    return all(each.leader and sorted(each.isr) == sorted(each.replicas) for each in topic.partitions)


def led_by(broker: int) -> Callable[[TopicInfo], bool]:
    """Of all partitions, with all replicas in sync."""
    return lambda topic: all_in_sync(topic) and all(each.leader == broker for each in topic.partitions)


async def partition_of(admin: Admin, topic: str, partition: int = 0) -> PartitionInfo:
    """One partition, as it is now."""
    return (await admin.describe_topic(topic)).partitions[partition]


async def leader_when_in_sync(admin: Admin, topic: str, *, within_s: float = 60.0) -> int:
    """Who leads the first partition, once every replica of the topic is in sync."""
    return (await topic_when(admin, topic, all_in_sync, within_s=within_s)).partitions[0].leader


async def broker_addresses(admin: Admin) -> dict[int, str]:
    return {each.broker_id: each.address for each in (await admin.describe_cluster()).brokers}


async def replica_hashes(
    addresses: Mapping[int, str], topic: TopicInfo
) -> Mapping[int, Mapping[int, ReplicaHash]]:
    """By partition and broker, what each replica holds from its log start up to its high watermark."""
    hashes: dict[int, dict[int, ReplicaHash]] = {each.partition: {} for each in topic.partitions}
    network = GrpcNetwork()
    for broker, address in addresses.items():
        held = [each.partition for each in topic.partitions if broker in each.replicas]
        wanted = [
            HashReplica(topic_id=topic.topic_id, partition=each, from_offset=-1, to_offset=-1)
            for each in held
        ]
        channel = network.dial(address)
        try:
            request = HashReplicasRequest(replicas=wanted)
            response = await channel.call(HASH_REPLICAS, request, timeout_s=CALL_TIMEOUT_S)
        finally:
            await channel.close()
        for answer in response.replicas:
            hashes[answer.partition][broker] = answer
    return hashes


def differences(hashes: Mapping[int, Mapping[int, ReplicaHash]]) -> Sequence[str]:
    """What is not the same on all replicas, by partition. Pure."""
    found = []
    for partition, by_broker in hashes.items():
        said = {
            broker: answer.error.message or answer.error.code
            if answer.error.code
            else (answer.from_offset, answer.to_offset, answer.size_bytes, answer.sha256.hex()[:16])
            for broker, answer in by_broker.items()
        }
        failed = any(answer.error.code for answer in by_broker.values())
        if failed or len(set(said.values())) > 1:
            found.append(f"partition {partition}: {said}")
    return found


async def differing_replicas(admin: Admin, topic: str, *, within_s: float = 30.0) -> Sequence[str]:
    """How replicas differ that nobody writes to; followers get a moment to learn the high watermark."""
    described = await admin.describe_topic(topic)
    addresses = await broker_addresses(admin)
    found: Sequence[str] = ["no replica was asked"]
    try:
        async with asyncio.timeout(within_s):
            while found:
                try:
                    found = differences(await replica_hashes(addresses, described))
                except RpcError as error:
                    found = [f"a broker did not answer: {error}"]
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        pass  # what was found last is what differs
    return found

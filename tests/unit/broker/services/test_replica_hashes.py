"""Hashes say whether replicas are the same, without moving them."""

from __future__ import annotations

import hashlib

import pytest

from streamkeep_common.methods import HASH_REPLICAS
from streamkeep_common.seams import RpcError, Status
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.replication_pb2 import HashReplica, HashReplicasRequest, ReplicaHash
from tests.unit.broker.log_manager.host import TOPIC_ID, read_all
from tests.unit.broker.replication.led import image
from tests.unit.broker.services.pushing import ADDRESS, Pushing, simulated


async def hashes(world: Pushing, *replicas: HashReplica) -> list[ReplicaHash]:
    channel = world.simulation.machine("verifier").network.dial(ADDRESS)
    response = await channel.call(HASH_REPLICAS, HashReplicasRequest(replicas=replicas), timeout_s=5)
    return list(response.replicas)


def replica(partition: int = 0, *, start: int = -1, end: int = -1) -> HashReplica:
    return HashReplica(topic_id=TOPIC_ID, partition=partition, from_offset=start, to_offset=end)


async def committed(world: Pushing) -> None:
    """Three batches below the high watermark, one above it."""
    await world.start()
    follower = await world.follower()
    await follower.start()
    for values in ((b"a", b"b"), (b"c",), (b"d",)):
        world.append(*values)
    await follower.until_offset(4)
    await follower.ack(4)
    await world.until(lambda: world.partition.high_watermark == 4)
    world.append(b"e")
    await world.until(lambda: world.partition.log.flushed_end_offset == 5)


@simulated
async def test_by_default_all_below_the_high_watermark_is_hashed(world: Pushing) -> None:
    await committed(world)
    (hashed,) = await hashes(world, replica())
    below = (await read_all(world.partition.log))[: hashed.size_bytes]
    assert hashed.sha256 == hashlib.sha256(below).digest()
    assert (hashed.from_offset, hashed.to_offset) == (0, 4)
    assert (hashed.log_start_offset, hashed.high_watermark, hashed.log_end_offset) == (0, 4, 5)


@simulated
async def test_ranges_are_of_whole_frames_and_each_has_its_own_outcome(world: Pushing) -> None:
    await committed(world)
    part, whole, wrong, absent, beyond = await hashes(
        world,
        replica(start=2, end=3),
        replica(start=0, end=1_000_000),
        replica(start=-2),
        replica(7),
        replica(start=9, end=10),
    )
    assert (part.from_offset, part.to_offset) == (2, 3)
    assert whole.to_offset == 5
    assert wrong.error.code == errors_pb2.INVALID_REQUEST
    assert absent.error.code == errors_pb2.UNKNOWN_TOPIC
    assert beyond.size_bytes == 0


@simulated
async def test_a_follower_tells_its_hash_too(world: Pushing) -> None:
    await committed(world)
    (before,) = await hashes(world, replica())
    world.apply(image(leader=2, leader_epoch=2, partition_epoch=2))
    assert (await hashes(world, replica()))[0].sha256 == before.sha256


@simulated
async def test_a_request_names_so_many_replicas_and_no_more(world: Pushing) -> None:
    await world.start()
    with pytest.raises(RpcError) as refused:
        await hashes(world, *[replica()] * 1_001)
    assert refused.value.status is Status.INVALID_ARGUMENT

"""Who may follow a partition, and under which epochs."""

from __future__ import annotations

import pytest

from streamkeep_common.seams import RpcError, Status
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.replication_pb2 import ReplicateRequest
from tests.unit.broker.replication.led import image
from tests.unit.broker.services.pushing import THREE, TWO, Pushing, simulated


@pytest.mark.parametrize("wrong", ["leader", "cluster", "epoch", "broker"])
def test_a_hello_that_is_not_meant_for_this_broker_is_refused(wrong: str) -> None:
    hello: dict[str, dict[str, object]] = {
        "leader": {"leader_id": 2},
        "cluster": {"cluster_id": "D" * 22},
        "epoch": {"broker_epoch": 0},
        "broker": {"broker_id": 0},
    }

    @simulated
    async def scenario(world: Pushing) -> None:
        await world.start()
        said = dict(hello[wrong])
        follower = await world.follower(said.pop("broker_id", TWO), **said)  # type: ignore[arg-type]
        with pytest.raises(RpcError) as refused:
            await follower.receive()
        assert refused.value.status in {Status.FAILED_PRECONDITION, Status.INVALID_ARGUMENT}

    scenario()


@simulated
async def test_a_stream_that_begins_without_a_hello_is_refused(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.stream.half_close()
    while await follower.receive() is not None:
        pass
    stranger = await world.follower(0)
    await stranger.send(ReplicateRequest())
    with pytest.raises(RpcError, match="first says who it is"):
        await stranger.receive()


@simulated
async def test_a_start_under_another_leader_epoch_is_refused_and_the_stream_goes_on(world: Pushing) -> None:
    await world.start()
    world.apply(image(isr=(1, 2), leader_epoch=3, partition_epoch=2))
    follower = await world.follower()
    for subscription, (leader_epoch, code) in enumerate(
        [(2, errors_pb2.FENCED_LEADER_EPOCH), (4, errors_pb2.UNKNOWN_LEADER_EPOCH)], start=1
    ):
        await follower.start(subscription, leader_epoch=leader_epoch)
        assert (await follower.until_end(subscription)).error.code == code
    await follower.start(3, leader_epoch=3)
    world.append(b"a")
    await follower.until_offset(1, 3)


@simulated
async def test_who_does_not_lead_says_so(world: Pushing) -> None:
    await world.start()
    world.apply(image(leader=2, leader_epoch=2, partition_epoch=2))
    follower = await world.follower(THREE)
    await follower.start(leader_epoch=2)
    assert (await follower.until_end()).error.code == errors_pb2.NOT_LEADER
    await follower.start(2, topic_id=b"?" * 16)
    assert (await follower.until_end(2)).error.code == errors_pb2.UNKNOWN_TOPIC


@simulated
async def test_an_older_registration_is_refused_and_a_new_one_ends_the_subscriptions_of_the_old(
    world: Pushing,
) -> None:
    await world.start()
    follower = await world.follower(broker_epoch=1)
    await follower.start()
    await follower.receive()
    world.broker_epochs[TWO] = 2
    world.apply(image(isr=(1, 2)))
    assert (await follower.until_end()).error.code == errors_pb2.STALE_BROKER_EPOCH
    await follower.start(2)
    assert (await follower.until_end(2)).error.code == errors_pb2.STALE_BROKER_EPOCH


@simulated
async def test_who_is_no_replica_is_refused(world: Pushing) -> None:
    await world.start()
    follower = await world.follower(4)
    await follower.start()
    assert (await follower.until_end()).error.code == errors_pb2.REPLICA_NOT_AVAILABLE


@simulated
async def test_a_new_leader_epoch_ends_what_was_followed_under_the_old_one(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start()
    await follower.receive()
    world.apply(image(isr=(1, 2), leader_epoch=2, partition_epoch=2))
    assert (await follower.until_end()).error.code == errors_pb2.NOT_LEADER
    pending = world.append(b"a")
    await follower.ack(1)
    await follower.receive()
    assert not pending.is_done

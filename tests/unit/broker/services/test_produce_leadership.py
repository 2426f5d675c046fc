"""What producers learn of who leads: it is another, their epoch is not the leader's, or nobody can say."""

from __future__ import annotations

from streamkeep_proto.v1 import errors_pb2
from tests.unit.broker.clients import item, make_batch
from tests.unit.broker.world import TOPIC, World, simulated


@simulated
async def test_losing_the_leadership_answers_all_that_wait(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "60000"})
    producer = world.producer()
    world.machine.workers.stall()
    await producer.send(item(TOPIC, make_batch([b"a"])))
    await producer.send(item(TOPIC, make_batch([b"b"], sequence=1)))
    await producer.receive()
    world.coordinator.change_leader(TOPIC, 0, leader=0)
    await producer.until(2)
    assert [result.error.code for result in producer.results] == [errors_pb2.NOT_LEADER] * 2
    world.machine.workers.resume()


@simulated
async def test_a_client_with_another_leader_epoch_is_told_so(world: World) -> None:
    await world.start()
    world.coordinator.change_leader(TOPIC, 0, leader=1)
    await world.until(lambda: all(partition.leader_epoch == 2 for partition in world.broker.partitions))
    producer = world.producer()
    (old,) = await producer.produce(item(TOPIC, make_batch([b"a"]), leader_epoch=1))
    (new,) = await producer.produce(item(TOPIC, make_batch([b"a"]), leader_epoch=3))
    (right,) = await producer.produce(item(TOPIC, make_batch([b"a"]), leader_epoch=2))
    assert old.error.code == errors_pb2.FENCED_LEADER_EPOCH
    assert old.error.leader.leader_epoch == 2
    assert new.error.code == errors_pb2.UNKNOWN_LEADER_EPOCH
    assert right.base_offset == 0


@simulated
async def test_a_broker_that_hears_no_coordinator_says_that_its_leadership_is_unconfirmed(
    world: World,
) -> None:
    await world.start()
    producer = world.producer()
    await producer.produce(item(TOPIC, make_batch([b"a"])))
    assert not producer.unconfirmed
    await world.coordinator.stop()
    while not producer.unconfirmed:
        await producer.receive()
    (result,) = await producer.produce(item(TOPIC, make_batch([b"b"], sequence=1)))
    assert result.base_offset == 1
    await world.coordinator.start("coordinator:7101")
    while producer.unconfirmed:
        await producer.receive()

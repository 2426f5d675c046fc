"""The broker as a whole: start, stop, and what it refuses to start on."""

from __future__ import annotations

import pytest

from streamkeep_broker.log.identity import DirectoryRefusedError
from streamkeep_proto.v1 import errors_pb2
from tests.unit.broker.clients import item, make_batch
from tests.unit.broker.world import COORDINATOR, TOPIC, World, simulated


@simulated
async def test_a_broker_waits_for_its_coordinator(world: World) -> None:
    starting = world.client.spawn(world.start_broker())
    await world.client.clock.sleep(20)
    assert not starting.done()
    await world.coordinator.start(COORDINATOR)
    await world.until(starting.done, within_s=2)


@simulated
async def test_a_stopping_broker_answers_what_waits_and_says_where_to_go(world: World) -> None:
    await world.start()
    producer, fetcher = world.producer(), world.fetcher()
    await fetcher.start(TOPIC)
    await producer.send(item(TOPIC, make_batch([b"a"])))
    await producer.receive()
    await fetcher.receive()
    before = world.client.clock.monotonic()
    stopping = world.client.spawn(world.stop_broker())
    while await producer.receive():
        pass
    while await fetcher.receive():
        pass
    await stopping
    assert world.client.clock.monotonic() - before < 2
    assert producer.results[0].base_offset == 0
    for closing in (producer.closing, fetcher.closing):
        assert closing is not None
        assert closing.error.code == errors_pb2.SHUTTING_DOWN
        assert list(closing.coordinators) == [COORDINATOR]


@simulated
async def test_a_stopping_broker_does_not_wait_for_a_dead_disk(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "60000"})
    producer = world.producer()
    world.machine.workers.stall()
    await producer.send(item(TOPIC, make_batch([b"a"])))
    await producer.receive()
    world.machine.spawn(world.broker.stop())
    while await producer.receive():
        pass
    assert producer.results[0].error.code == errors_pb2.SHUTTING_DOWN


@simulated
async def test_after_a_clean_stop_nothing_is_scanned(world: World) -> None:
    await world.start()
    await world.producer().produce(item(TOPIC, make_batch([b"a"])))
    await world.stop_broker()
    await world.start_broker()
    assert world.broker.logs.clean_start
    assert world.coordinator.registrations[-1].clean_start


@simulated
async def test_a_directory_of_another_broker_is_refused(world: World) -> None:
    await world.start()
    await world.stop_broker()
    with pytest.raises(DirectoryRefusedError, match="belongs to broker 1, and this is broker 2"):
        await world.start_broker(2)


@simulated
async def test_a_directory_in_use_is_refused(world: World) -> None:
    await world.start()
    with pytest.raises(DirectoryRefusedError, match="in use by another process"):
        await world.start_broker()


@simulated
async def test_an_address_in_use_is_refused_and_the_directories_are_let_go(world: World) -> None:
    await world.start()
    with pytest.raises(OSError, match="broker1:7201"):
        await world.start_broker(2, listen="broker1:7201", data_dirs="/other")
    await world.start_broker(2, data_dirs="/other")


@simulated
async def test_a_new_incarnation_has_a_new_leader_epoch(world: World) -> None:
    await world.start()
    await world.producer().produce(item(TOPIC, make_batch([b"a"])))
    world.kill_broker()
    await world.start_broker()
    await world.hosted(1)
    (result,) = await world.producer().produce(item(TOPIC, make_batch([b"b"], sequence=1), leader_epoch=2))
    assert result.base_offset == 1
    (partition,) = world.broker.partitions
    assert [tuple(start) for start in partition.log.leader_epochs.starts] == [(1, 0), (2, 1)]

"""A batch is stored once, however often it is sent, and nothing goes between a producer's batches."""

from __future__ import annotations

import pytest

from streamkeep_proto.v1 import errors_pb2
from tests.unit.broker.clients import item, make_batch
from tests.unit.broker.world import TOPIC, World, simulated


@simulated
async def test_a_batch_sent_twice_is_stored_once_and_answered_alike(world: World) -> None:
    await world.start()
    producer = world.producer()
    batch = make_batch([b"a", b"b"])
    (first,) = await producer.produce(item(TOPIC, batch))
    (second,) = await producer.produce(item(TOPIC, batch))
    assert (first.base_offset, first.append_time_ms) == (second.base_offset, second.append_time_ms)
    (third,) = await producer.produce(item(TOPIC, make_batch([b"c"], sequence=2)))
    assert third.base_offset == 2


@simulated
async def test_a_duplicate_is_not_answered_before_the_original_is_safe(world: World) -> None:
    await world.start(broker={"disk_stall_ms": "60000"})
    first, second = world.producer(), world.producer()
    world.machine.workers.stall()
    await first.send(item(TOPIC, make_batch([b"a"])))
    await first.receive()
    await second.send(item(TOPIC, make_batch([b"a"])))
    await second.receive()
    await second.receive()
    assert second.results == []
    world.machine.workers.resume()
    assert (await second.until(1))[0].base_offset == 0


@simulated
async def test_a_gap_an_old_epoch_and_an_unknown_producer_are_refused(world: World) -> None:
    await world.start()
    producer = world.producer()
    await producer.produce(item(TOPIC, make_batch([b"a"], producer_epoch=1)))
    refused = {
        "gap": make_batch([b"b"], sequence=5, producer_epoch=1),
        "old epoch": make_batch([b"b"], sequence=1, producer_epoch=0),
        "unknown": make_batch([b"b"], sequence=1, producer_id=99),
    }
    codes = {
        name: (await producer.produce(item(TOPIC, batch)))[0].error.code for name, batch in refused.items()
    }
    assert codes == {
        "gap": errors_pb2.OUT_OF_ORDER_SEQUENCE,
        "old epoch": errors_pb2.PRODUCER_FENCED,
        "unknown": errors_pb2.UNKNOWN_PRODUCER,
    }


@pytest.mark.parametrize("end", ["stop_broker", "kill_broker", "cut_power"])
def test_a_duplicate_is_known_after_a_restart(end: str) -> None:
    @simulated
    async def scenario(world: World) -> None:
        await world.start()
        batches = [make_batch([b"a"], sequence=number) for number in range(3)]
        for batch in batches:
            await world.producer().produce(item(TOPIC, batch))
        ended = getattr(world, end)()
        if ended is not None:
            await ended
        await world.start_broker()
        await world.hosted(1)
        producer = world.producer()
        offsets = [(await producer.produce(item(TOPIC, batch)))[0].base_offset for batch in batches]
        assert offsets == [0, 1, 2]
        (new,) = await producer.produce(item(TOPIC, make_batch([b"b"], sequence=3)))
        assert new.base_offset == 3

    scenario()

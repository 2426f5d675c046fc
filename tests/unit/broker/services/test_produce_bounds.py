"""What producers can make a broker hold is bounded, and nobody who keeps to it is kept out."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_broker.services.limits import RESULT_BYTES, UNREAD_ANSWERS_S
from streamkeep_common.seams import RpcError
from tests.unit.broker.clients import item, make_batch
from tests.unit.broker.world import OTHER_TOPIC, TOPIC, World, simulated


@simulated
async def test_more_refusals_than_fit_into_a_message_come_in_several(world: World) -> None:
    await world.start()
    producer = world.producer()
    for _ in range(3):
        await producer.send(*[item(OTHER_TOPIC, make_batch([b"a"]), partition=n) for n in range(9_000)])
    await producer.stream.half_close()
    while await producer.receive():
        pass
    assert len(producer.results) == 27_000


@simulated
async def test_a_client_that_never_reads_its_answers_is_read_no_more(world: World) -> None:
    await world.start(durability="os")
    limit = 64 * 1024
    world.broker.budget.limit_bytes = world.broker.budget.stream_limit_bytes = limit
    silent = world.producer()
    sent = 0

    async def send_for_ever() -> None:
        nonlocal sent
        while True:
            await silent.send(item(OTHER_TOPIC * 4000, make_batch([b"a"], sequence=sent)))
            sent += 1

    sending = world.client.spawn(send_for_ever())
    await world.client.clock.sleep(20)
    stuck_at = sent
    await world.client.clock.sleep(20)
    assert sent == stuck_at, "it was read on and on"
    assert limit <= world.broker.budget.used_bytes <= limit + 2 * 64_000 + 2 * RESULT_BYTES
    sending.cancel()
    silent.stream.cancel()
    await world.until(lambda: world.broker.budget.used_bytes == 0)
    (result,) = await world.producer().produce(item(TOPIC, make_batch([b"b"], producer_id=2)))
    assert not result.HasField("error")


@simulated
async def test_a_client_that_never_reads_its_answers_does_not_keep_others_out_for_ever(world: World) -> None:
    await world.start(durability="os")
    world.broker.budget.limit_bytes = world.broker.budget.stream_limit_bytes = 64 * 1024
    silent = world.producer()

    async def send_for_ever() -> None:
        for sequence in range(1_000_000):
            await silent.send(item(OTHER_TOPIC * 4000, make_batch([b"a"], sequence=sequence)))

    sending = world.client.spawn(send_for_ever())
    await world.client.clock.sleep(20)
    async with asyncio.timeout(UNREAD_ANSWERS_S):
        (result,) = await world.producer().produce(item(TOPIC, make_batch([b"b"], producer_id=2)))
    assert not result.HasField("error")
    with pytest.raises(RpcError):
        await sending


@simulated
async def test_two_hundred_fast_clients_stay_within_the_budget_and_all_get_through(world: World) -> None:
    limit, size = 16 * 1024 * 1024, 128 * 1024
    await world.start(
        broker={"max_in_flight_bytes": str(limit), "max_connection_in_flight_bytes": str(limit)}
    )
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, world.broker.budget.used_bytes)

    world.simulation.loop.after_step = lambda _process: look()
    producers = [world.producer() for _ in range(200)]
    for number, producer in enumerate(producers):
        for sequence in range(4):
            batch = make_batch([bytes(size)], sequence=sequence, producer_id=number + 1)
            await producer.send(item(TOPIC, batch))
    for producer in producers:
        assert not any(result.HasField("error") for result in await producer.until(4))
    assert most <= limit + 200 * (size + 1024 + RESULT_BYTES)
    assert most > 0
    assert world.broker.budget.used_bytes == 0


@simulated
async def test_room_that_was_offered_to_an_idle_client_is_found_by_one_that_has_something_to_say(
    world: World,
) -> None:
    await world.start(durability="os")
    budget = world.broker.budget
    stuck, busy = budget.open_stream(lambda: None), budget.open_stream(lambda: None)
    stuck.charge(budget.limit_bytes * 3 // 4)
    busy.charge(budget.limit_bytes)
    _idle = world.producer()
    await world.client.clock.sleep(0.1)
    talkative = world.producer()
    await world.client.clock.sleep(0.1)
    busy.release(budget.limit_bytes)
    async with asyncio.timeout(1):
        (result,) = await talkative.produce(item(TOPIC, make_batch([b"a"])))
    assert not result.HasField("error")

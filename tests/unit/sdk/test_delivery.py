"""Receipts and the handles that point into them."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep.errors import DiskFullError, StreamkeepError
from streamkeep.producer.delivery import Deliveries, Delivery, Receipt, Span


def test_a_handle_tells_the_offset_of_its_record() -> None:
    receipt = Receipt("t", 3, 1_000)
    deliveries = [Delivery(receipt, index) for index in range(3)]
    assert not deliveries[0].done() and deliveries[0].exception() is None
    with pytest.raises(asyncio.InvalidStateError):
        deliveries[0].result()
    receipt.acknowledge(0, 3, 70)
    assert [delivery.result().offset for delivery in deliveries] == [70, 71, 72]
    assert deliveries[1].result() == ("t", 3, 71, 1_000)


def test_a_duplicate_is_a_success_without_an_offset() -> None:
    receipt = Receipt("t", 0, 1_000)
    receipt.acknowledge(0, 2, -1)
    assert Delivery(receipt, 1).result().offset == -1
    assert Delivery(receipt, 1).exception() is None


def test_a_handle_shows_what_is_known_of_its_record() -> None:
    receipt = Receipt("t", 3, 1_000)
    assert repr(Delivery(receipt, 0)) == "<Delivery to t-3: on its way, await it for its RecordMetadata>"
    receipt.acknowledge(0, 1, 70)
    stored = "RecordMetadata(topic='t', partition=3, offset=70, timestamp_ms=1000)"
    assert repr(Delivery(receipt, 0)) == f"<Delivery to t-3: {stored}>"
    receipt.fail(1, 1, DiskFullError("no room"))
    assert repr(Delivery(receipt, 1)) == "<Delivery to t-3: DiskFullError('no room')>"


async def test_the_parts_of_a_batch_are_settled_apart() -> None:
    receipt = Receipt("t", 0, 1_000)
    waits = [asyncio.ensure_future(_outcome(Delivery(receipt, index))) for index in range(4)]
    await asyncio.sleep(0)
    receipt.acknowledge(0, 2, 5)
    assert await waits[0] == 5 and await waits[1] == 6
    assert not waits[2].done()
    receipt.fail(2, 2, DiskFullError("no room"))
    assert isinstance(await waits[3], DiskFullError)


async def test_one_waiter_that_gives_up_takes_nobody_with_it() -> None:
    receipt = Receipt("t", 0, 1_000)
    first, second = (asyncio.ensure_future(_outcome(Delivery(receipt, 0))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    receipt.acknowledge(0, 1, 9)
    assert await second == 9


async def test_deliveries_are_in_the_order_of_the_arguments_wherever_they_went() -> None:
    left, right = Receipt("t", 0, 1), Receipt("t", 1, 1)
    deliveries = Deliveries(5, [Span(left, 10, [0, 3]), Span(right, 0, [1, 2, 4])])
    assert len(deliveries) == 5 and not deliveries.done()
    left.acknowledge(0, 12, 100)
    right.fail(0, 3, DiskFullError("no room"))
    assert deliveries.done()
    assert deliveries[3].result().offset == 111
    assert [index for index, _ in deliveries.failures()] == [1, 2, 4]
    with pytest.raises(DiskFullError):
        await deliveries


async def _outcome(delivery: Delivery) -> int | StreamkeepError:
    try:
        return (await delivery).offset
    except StreamkeepError as error:
        return error

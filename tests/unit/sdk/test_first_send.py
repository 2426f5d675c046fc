"""The first record to or from a topic, when nobody answers."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep import Consumer, Producer, StreamkeepError


async def test_the_first_send_waits_no_longer_than_a_delivery_may_take() -> None:
    """A client's own patience for requests, 30 s, is longer."""
    async with Producer("127.0.0.1:1", delivery_timeout_ms=300) as producer:
        async with asyncio.timeout(15):
            with pytest.raises(StreamkeepError):
                await producer.send("t", b"x")


async def test_a_consumer_looks_for_its_topic_no_longer_than_it_was_told_to() -> None:
    async with Consumer("127.0.0.1:1", request_timeout_ms=300) as consumer:
        for call in (consumer.partitions_for("t"), consumer.assign([("t", 0)], start=0)):
            async with asyncio.timeout(15):
                with pytest.raises(StreamkeepError):
                    await call

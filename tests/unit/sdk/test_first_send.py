"""The first record to a topic, when nobody answers."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep import Producer, StreamkeepError


async def test_the_first_send_waits_no_longer_than_a_delivery_may_take() -> None:
    """A client's own patience for requests, 30 s, is longer."""
    async with Producer("127.0.0.1:1", delivery_timeout_ms=300) as producer:
        async with asyncio.timeout(15):
            with pytest.raises(StreamkeepError):
                await producer.send("t", b"x")

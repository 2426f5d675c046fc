"""The two streams to one leader's broker. What is far behind must not hold up what is live, so they share
neither flow control nor connection."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial

from streamkeep_broker.replication.following.state import Lane
from streamkeep_broker.replication.following.stream import FollowerStream
from streamkeep_common.seams import Clock, Network
from streamkeep_proto.v1.replication_pb2 import FollowerHello

Hello = Callable[[int], FollowerHello | None]


class LeaderLink:
    """To the broker `leader_id` at `address`, host:port."""

    def __init__(
        self,
        leader_id: int,
        address: str,
        *,
        network: Network,
        clock: Clock,
        rng: random.Random,
        hello: Hello,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._leader_id = leader_id
        self._hello = hello
        self._streams = {
            lane: FollowerStream(
                lane,
                address,
                network=network,
                clock=clock,
                rng=rng,
                hello=partial(self._hello_on, lane),
                on_failure=on_failure,
            )
            for lane in Lane
        }

    def stream(self, lane: Lane) -> FollowerStream:
        return self._streams[lane]

    def move(self, address: str) -> None:
        """The broker is at that address now."""
        for stream in self._streams.values():
            stream.address = address

    async def stop(self) -> None:
        """End both streams."""
        await asyncio.gather(*(stream.stop() for stream in self._streams.values()))

    def _hello_on(self, lane: Lane) -> FollowerHello | None:
        given = self._hello(self._leader_id)
        if given is None:
            return None
        hello = FollowerHello(catch_up=lane is Lane.CATCH_UP)
        hello.MergeFrom(given)
        return hello

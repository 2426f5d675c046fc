"""Channels to brokers and coordinators, shared by all that one client object does.

Produce, fetch and control calls have a connection each, so that none waits for another's flow control.
"""

from __future__ import annotations

from enum import Enum, auto

from streamkeep_common.errors import ClosedError
from streamkeep_common.seams.network import Channel, Network


class Purpose(Enum):
    """What a connection is for."""

    CONTROL = auto()
    PRODUCE = auto()
    FETCH = auto()


class Connections:
    """One channel for each address and purpose, dialled when first asked for."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._channels: dict[tuple[str, Purpose], Channel] = {}
        self._closed = False

    def channel(self, address: str, purpose: Purpose) -> Channel:
        channel = self._channels.get((address, purpose))
        if self._closed:
            raise ClosedError("the client is closed")
        if channel is None:
            channel = self._channels[address, purpose] = self._network.dial(address)
        return channel

    async def close(self) -> None:
        self._closed = True
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            await channel.close()

"""A server that echoes, on a simulated machine, and a client's machine beside it."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common.seams import (
    CallInfo,
    RpcError,
    ServerStream,
    Service,
    Status,
    StreamMethod,
    UnaryMethod,
)
from tests.sim.simulation import Machine, Simulation

ASK = UnaryMethod("/sim.v1.Sim/Ask", BytesValue, BytesValue)
TALK = StreamMethod("/sim.v1.Sim/Talk", BytesValue, BytesValue)


async def ask(request: BytesValue, _info: CallInfo) -> BytesValue:
    return request


async def talk(stream: ServerStream[BytesValue, BytesValue]) -> None:
    while (message := await stream.receive()) is not None:
        await stream.send(message)


SERVICE = Service("sim.v1.Sim", {ASK: ask}, {TALK: talk})


async def two_machines(simulation: Simulation) -> tuple[Machine, Machine, str]:
    """A server that serves, a client, and the server's address."""
    server, client = simulation.machine("server"), simulation.machine("client")
    listener = await server.network.serve("server:0", [SERVICE])
    return server, client, listener.address


async def status_of(failing: Awaitable[object]) -> Status:
    with pytest.raises(RpcError) as caught:
        await failing
    return caught.value.status

"""The coordinator's side of a broker."""

from __future__ import annotations

from streamkeep_common.image import MAX_FEATURE_LEVEL
from streamkeep_common.methods import SESSION
from streamkeep_common.seams import RpcError
from streamkeep_proto.v1.coordinator_pb2 import (
    BrokerHeartbeat,
    BrokerRegistered,
    BrokerStatus,
    RegisterBroker,
    SessionRequest,
    SessionResponse,
)
from streamkeep_proto.v1.errors_pb2 import Error
from tests.sim.simulation import Machine


class Broker:
    """Registers at `address`, sends heartbeats, notes what it is told."""

    def __init__(self, machine: Machine, broker_id: int, incarnation: int, address: str) -> None:
        self.machine = machine
        self.address = address
        self.register = RegisterBroker(
            broker_id=broker_id,
            incarnation_id=bytes([incarnation]) * 16,
            address=f"broker-{broker_id}:7201",
            directory_ids=[bytes([broker_id]) * 16],
            min_feature_level=1,
            max_feature_level=MAX_FEATURE_LEVEL,
        )
        self.heartbeat = BrokerHeartbeat()
        self.status: BrokerStatus | None = None
        self.refused = Error()

    async def open(self) -> BrokerRegistered:
        """Register; AssertionError with the answer if that was refused."""
        self.stream = self.machine.network.dial(self.address).open(SESSION)
        await self.stream.send(SessionRequest(register=self.register))
        response = await self.stream.receive()
        assert response is not None
        self.refused = response.error
        assert response.HasField("registered"), response
        self.registered = response.registered
        return response.registered

    async def beat(self) -> SessionResponse:
        """One heartbeat and the answer."""
        await self.stream.send(SessionRequest(heartbeat=self.heartbeat))
        response = await self.stream.receive()
        assert response is not None
        self.refused = response.error
        self.status = response.status
        return response

    async def join(self) -> None:
        """Register, catch up, and go on sending heartbeats."""
        registered = await self.open()
        self.heartbeat.metadata_index = registered.metadata_index
        while (await self.beat()).status.fenced:
            pass
        self.beating = self.machine.spawn(self._keep_beating())

    async def _keep_beating(self) -> None:
        try:
            while not (await self.beat()).HasField("error"):
                await self.machine.clock.sleep(0.3)
        except RpcError:
            return

    def kill(self) -> None:
        self.machine.kill()

"""An operator who changes the quorum: each wish is repeated until it is granted, refused or too late."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import Message

from streamkeep_common.methods import (
    ADD_COORDINATOR,
    INITIALIZE_CLUSTER,
    REMOVE_COORDINATOR,
    TRANSFER_LEADERSHIP,
)
from streamkeep_common.seams import RpcError, UnaryMethod
from streamkeep_proto.v1.errors_pb2 import INVALID_QUORUM_CHANGE, NONE, Error, ErrorCode
from streamkeep_proto.v1.raft_pb2 import (
    AddCoordinatorRequest,
    CoordinatorAddress,
    InitializeClusterRequest,
    RemoveCoordinatorRequest,
    TransferLeadershipRequest,
)
from tests.sim.quorum.cluster import address_of
from tests.sim.simulation import Machine

CALL_TIMEOUT_S = 4.0


class Operator:
    """`note` is told how it ended."""

    def __init__(
        self,
        machine: Machine,
        addresses: Sequence[str],
        rng: random.Random,
        note: Callable[[str, str], None],
    ) -> None:
        self._machine = machine
        self._addresses = addresses
        self._rng = rng
        self._note = note

    async def initialize(self, numbers: Sequence[int]) -> bool:
        members = [CoordinatorAddress(coordinator_id=each, address=address_of(each)) for each in numbers]
        request = InitializeClusterRequest(members=members)
        asked = [each.address for each in members]
        return await self._insist("initialize", INITIALIZE_CLUSTER, request, within_s=10, asked=asked)

    async def add(self, number: int, *, within_s: float = 10) -> bool:
        coordinator = CoordinatorAddress(coordinator_id=number, address=address_of(number))
        request = AddCoordinatorRequest(coordinator=coordinator)
        return await self._insist(f"add {number}", ADD_COORDINATOR, request, within_s=within_s)

    async def remove(self, number: int, *, within_s: float = 10) -> bool:
        request = RemoveCoordinatorRequest(coordinator_id=number)
        return await self._insist(f"remove {number}", REMOVE_COORDINATOR, request, within_s=within_s)

    async def transfer(self, number: int) -> bool:
        request = TransferLeadershipRequest(coordinator_id=number)
        done = await self._insist(f"transfer to {number}", TRANSFER_LEADERSHIP, request, within_s=3)
        if done:
            self._note("leadership transferred", str(number))
        return done

    async def _insist(
        self,
        wish: str,
        method: UnaryMethod[Any, Any],
        request: Message,
        *,
        within_s: float,
        asked: Sequence[str] = (),
    ) -> bool:
        deadline = self._now() + within_s
        address = self._rng.choice(asked or self._addresses)
        while self._now() < deadline:
            error = await self._ask(address, method, request)
            if error is not None and error.code == NONE:
                self._note("operator", f"{wish}: done")
                return True
            if error is not None and error.code == INVALID_QUORUM_CHANGE:
                self._note("operator", f"{wish}: {error.message}")
                return False
            known = "" if error is None else error.active_address
            address = known or self._rng.choice(asked or self._addresses)
            await self._machine.clock.sleep(self._rng.uniform(0.05, 0.4))
        self._note("operator", f"{wish}: nobody answered in time")
        return False

    async def _ask(self, address: str, method: UnaryMethod[Any, Any], request: Message) -> Error | None:
        channel = self._machine.network.dial(address)
        try:
            response = await channel.call(method, request, timeout_s=CALL_TIMEOUT_S)
        except RpcError:
            return None
        finally:
            await channel.close()
        if response.error.code != NONE:
            self._note(f"refused.{ErrorCode.Name(response.error.code)}", "operator")
        error: Error = response.error
        return error

    def _now(self) -> float:
        return self._machine.clock.monotonic()

"""Clients of the metadata: they create, delete and look, and write down exactly what they were told.

Every operation is one call to one coordinator, so that its outcome is known or known not to be. An answer
that names the active coordinator is followed with the next operation.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from streamkeep_common.methods import (
    CREATE_TOPICS,
    DELETE_TOPICS,
    DESCRIBE_TOPICS,
    GET_METADATA,
    LIST_TOPICS,
)
from streamkeep_common.seams import Channel, RpcError, UnaryMethod
from streamkeep_proto.v1.coordinator_pb2 import (
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DescribeTopicsRequest,
    GetMetadataRequest,
    ListTopicsRequest,
    NewTopic,
)
from streamkeep_proto.v1.errors_pb2 import (
    INVALID_REPLICATION_FACTOR,
    NONE,
    NOT_ACTIVE,
    NOT_INITIALIZED,
    TOPIC_EXISTS,
    UNKNOWN_TOPIC,
    Error,
    ErrorCode,
)
from tests.sim.linearizability import Kind, Operation, Outcome
from tests.sim.simulation import Machine

R = TypeVar("R", bound=Message)

KEYS = ("apples", "bread", "cheese", "dates", "eggs")
TIMEOUT_S = 3.0
SURELY_NOT = (NOT_ACTIVE, NOT_INITIALIZED, INVALID_REPLICATION_FACTOR)
"""With these a coordinator says that it has not even tried."""


class History(Protocol):
    """Where operations are written down."""

    def append(self, operation: Operation, /) -> None: ...


class MetadataClient:
    """One caller, one operation at a time. `note` counts answers by kind."""

    def __init__(
        self,
        machine: Machine,
        name: str,
        addresses: Sequence[str],
        *,
        rng: random.Random,
        history: History,
        note: Callable[[str, str], None],
    ) -> None:
        self.writes_done = 0
        self._machine = machine
        self._name = name
        self._addresses = addresses
        self._rng = rng
        self._history = history
        self._note = note
        self._channels: dict[str, Channel] = {}
        self._active = ""
        self._stopped = False

    async def run(self, pause_s: tuple[float, float]) -> None:
        """Go on until `stop`."""
        while not self._stopped:
            await self.act()
            await self._machine.clock.sleep(self._rng.uniform(*pause_s))

    def stop(self) -> None:
        """The operation under way is the last."""
        self._stopped = True

    async def act(self) -> None:
        """One operation, chosen at random."""
        key = self._rng.choice(KEYS)
        act = self._rng.choices(
            (self.create, self.delete, self._describe, self._list, self._metadata), (4, 3, 4, 1, 2)
        )[0]
        await act(key)

    async def create(self, key: str) -> None:
        topic_id = self._rng.randbytes(16)
        topic = NewTopic(name=key, partitions=1, replication_factor=1, topic_id=topic_id)
        await self._write("create", key, CREATE_TOPICS, CreateTopicsRequest(topics=[topic]), topic_id)

    async def delete(self, key: str) -> None:
        await self._write("delete", key, DELETE_TOPICS, DeleteTopicsRequest(names=[key]), b"")

    async def _write(
        self, kind: Kind, key: str, method: UnaryMethod[Any, Any], request: Message, value: bytes
    ) -> None:
        started = self._now()
        response = await self._ask(self._active or self._anyone(), method, request)
        outcome = Outcome.UNKNOWN
        if response is not None:
            error = response.error if response.error.code else response.outcomes[0].error
            told = _write_outcome(error)
            if told is None:
                self._follow(error)
                return
            outcome = told
            value = value or response.outcomes[0].topic_id if outcome is Outcome.DONE else value
        self.writes_done += outcome is Outcome.DONE
        self._note(f"{kind}.{outcome.value}", key)
        end = None if outcome is Outcome.UNKNOWN else self._now()
        self._history.append(Operation(kind, key, started, end, outcome, value, self._name))

    async def _describe(self, key: str) -> None:
        started = self._now()
        response = await self._ask(self._anyone(), DESCRIBE_TOPICS, DescribeTopicsRequest(names=[key]))
        if response is not None and not self._failed(response.error):
            topic = response.topics[0]
            self._saw(key, started, topic.topic_id if topic.error.code == NONE else None)

    async def _list(self, _key: str) -> None:
        started = self._now()
        response = await self._ask(self._anyone(), LIST_TOPICS, ListTopicsRequest())
        if response is not None and not self._failed(response.error):
            seen = {topic.name: topic.topic_id for topic in response.topics}
            for key in KEYS:
                self._saw(key, started, seen.get(key))

    async def _metadata(self, _key: str) -> None:
        started = self._now()
        response = await self._ask(self._anyone(), GET_METADATA, GetMetadataRequest(all_topics=True))
        if response is None:
            return
        if response.stale:
            self._note("stale answer", self._name)
            return
        seen = {topic.name: topic.topic_id for topic in response.topics}
        for key in KEYS:
            self._saw(key, started, seen.get(key))

    def _saw(self, key: str, started: float, topic_id: bytes | None) -> None:
        self._note("read confirmed", key)
        outcome = Outcome.ABSENT if topic_id is None else Outcome.PRESENT
        self._history.append(
            Operation("exists", key, started, self._now(), outcome, topic_id or b"", self._name)
        )

    async def _ask(self, address: str, method: UnaryMethod[Any, R], request: Message) -> R | None:
        """None: there was no answer."""
        if address not in self._channels:
            self._channels[address] = self._machine.network.dial(address)
        try:
            return await self._channels[address].call(method, request, timeout_s=TIMEOUT_S)
        except RpcError as error:
            self._note("no answer", f"{self._name} {address} {error.status.name}")
            self._active = ""
            return None

    def _failed(self, error: Error) -> bool:
        if error.code == NONE:
            return False
        self._follow(error)
        return True

    def _follow(self, error: Error) -> None:
        """Nothing was done; whoever is active may be named."""
        self._note(f"refused.{ErrorCode.Name(error.code)}", error.active_address)
        self._active = error.active_address

    def _anyone(self) -> str:
        return self._rng.choice(self._addresses)

    def _now(self) -> float:
        return self._machine.clock.monotonic()


def _write_outcome(error: Error) -> Outcome | None:
    """None: it surely did not happen."""
    if error.code == NONE:
        return Outcome.DONE
    if error.code in (TOPIC_EXISTS, UNKNOWN_TOPIC):
        return Outcome.REFUSED
    return None if error.code in SURELY_NOT else Outcome.UNKNOWN

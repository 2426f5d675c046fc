"""A quorum under control of a test: says what it is told to say, and notes what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence

from streamkeep_common.errors import StreamkeepError
from streamkeep_proto.v1.raft_pb2 import CoordinatorAddress, DescribeQuorumResponse


class FakeControl:
    """The QuorumControl. `error`, if set, is what every change ends with."""

    def __init__(self, view: DescribeQuorumResponse) -> None:
        self.view = view
        self.error: StreamkeepError | None = None
        self.asked: list[tuple[str, int]] = []

    def describe(self) -> DescribeQuorumResponse:
        return self.view

    async def initialize(self, members: Sequence[CoordinatorAddress]) -> str:
        self._note("initialize", len(members))
        return "c" * 22

    async def add(self, coordinator: CoordinatorAddress) -> None:
        self._note("add", coordinator.coordinator_id)

    async def remove(self, coordinator_id: int) -> None:
        self._note("remove", coordinator_id)

    async def transfer_to(self, coordinator_id: int) -> None:
        self._note("transfer", coordinator_id)

    def _note(self, what: str, number: int) -> None:
        self.asked.append((what, number))
        if self.error is not None:
            raise self.error

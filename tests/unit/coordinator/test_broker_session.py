"""A session stream on which something unforeseen happens."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_common.seams import RpcError, Status
from streamkeep_coordinator.broker_session import BrokerSession
from streamkeep_proto.v1.coordinator_pb2 import SessionResponse
from tests.unit.coordinator.members import Members, simulate_members


class Stream:
    """Silent, until what was sent or read ends with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.sent: list[SessionResponse] = []
        self._error = error

    async def receive(self) -> None:
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()

    async def send(self, response: SessionResponse) -> None:
        self.sent.append(response)


def session(members: Members, stream: Stream) -> BrokerSession:
    coordinator = members[1]
    return BrokerSession(
        stream,  # type: ignore[arg-type]
        coordinator.controller,
        coordinator.duty.keeper(),
        coordinator.machine.clock,
        broker_id=7,
        broker_epoch=1,
        incarnation_id=b"i" * 16,
        registered_index=1,
    )


def test_an_error_that_ends_a_session_is_logged_unless_it_is_the_connection_s(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(members: Members) -> None:
        await session(members, Stream(RpcError(Status.UNAVAILABLE, "cut"))).run()
        assert not caplog.records
        await session(members, Stream(ValueError("unforeseen"))).run()

    simulate_members(scenario)
    assert "the session of broker 7 has failed" in caplog.text
    assert "ValueError: unforeseen" in caplog.text


def test_a_broker_that_was_removed_meanwhile_is_told_that_it_is_fenced() -> None:
    async def scenario(members: Members) -> None:
        assert 7 not in members[1].images.committed.brokers
        stream = Stream()
        running = session(members, stream)
        task = asyncio.ensure_future(running.run())
        await asyncio.sleep(0.1)
        running._status_due.set()
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [each.status.fenced for each in stream.sent] == [True]

    simulate_members(scenario)

"""How the end of a long stream is told to who keeps it open."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep.streams import converse
from streamkeep_common.errors import InvalidRequestError, UnavailableError
from streamkeep_common.seams.network import ClientStream, RpcError, Status
from streamkeep_proto.v1.broker_pb2 import FetchRequest, FetchResponse


class EndingStream:
    """A stream whose first message is its end."""

    def __init__(self, status: Status | None) -> None:
        self._status = status

    async def send(self, message: FetchRequest | bytes) -> None: ...

    async def receive(self) -> FetchResponse | None:
        if self._status is None:
            return None
        raise RpcError(self._status, "the end")

    async def half_close(self) -> None: ...

    def cancel(self) -> None: ...


class Silent:
    """Says and hears nothing."""

    async def speak(self, stream: ClientStream[FetchRequest, FetchResponse]) -> None:
        await asyncio.Event().wait()

    def hear(self, message: FetchResponse) -> None: ...

    def on_silence(self) -> None: ...


@pytest.mark.parametrize("status", [None, Status.UNAVAILABLE, Status.INTERNAL, Status.UNKNOWN])
async def test_a_stream_that_breaks_however_it_is_reported_is_worth_opening_again(
    status: Status | None,
) -> None:
    error = await converse(EndingStream(status), Silent())
    assert isinstance(error, UnavailableError) and error.retriable


async def test_a_request_that_the_broker_refuses_is_not_repeated() -> None:
    error = await converse(EndingStream(Status.INVALID_ARGUMENT), Silent())
    assert isinstance(error, InvalidRequestError) and not error.retriable

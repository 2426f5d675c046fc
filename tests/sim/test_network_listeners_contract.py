"""What every Network keeps of a server that starts, stops and starts again, real or simulated."""

from __future__ import annotations

import asyncio
import errno

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common.seams import CallInfo, RpcError, Status
from tests.sim.contract_service import ASK, TALK, Witness, echo_stream, fails_with, listen, never, value
from tests.sim.worlds import RunScenario, World, eventually


def test_a_taken_port_and_a_foreign_address_are_os_errors(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        listener = await listen(world)
        with pytest.raises(OSError, match=listener.address) as caught:
            await listen(world, address=listener.address)
        assert caught.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError, match=r"192\.0\.2\.1") as caught:
            await listen(world, address="192.0.2.1:0")
        assert caught.value.errno == errno.EADDRNOTAVAIL
        await listener.stop(0)

    run(scenario)


def test_stopping_lets_handlers_finish_within_the_grace(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        may_finish = asyncio.Event()

        async def finish(request: BytesValue, _info: CallInfo) -> BytesValue:
            await may_finish.wait()
            return request

        handler = Witness(finish)
        listener = await listen(world, ask=handler)
        channel = world.client_network.dial(listener.address)
        call = asyncio.ensure_future(channel.call(ASK, value(b"hi"), timeout_s=30))
        await eventually(lambda: handler.started == 1)
        stopping = asyncio.ensure_future(listener.stop(30))
        await asyncio.sleep(0.02)
        assert not stopping.done()
        may_finish.set()
        assert await call == value(b"hi")
        await stopping
        async with fails_with(Status.UNAVAILABLE):
            await channel.call(ASK, value(b"too late"), timeout_s=5)
        await channel.close()

    run(scenario)


def test_stopping_cancels_what_outlasts_the_grace_and_tells_clients_to_come_again(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        asked, talking = Witness(never), Witness(echo_stream)
        listener = await listen(world, ask=asked, talk=talking)
        channel = world.client_network.dial(listener.address)
        stream = channel.open(TALK)
        await stream.send(value(b"hello"))
        assert await stream.receive() == value(b"hello")
        call = asyncio.ensure_future(channel.call(ASK, value(b""), timeout_s=30))
        await eventually(lambda: asked.started == 1)
        async with asyncio.timeout(5):
            await listener.stop(0.05)
        assert (asked.cancelled, talking.cancelled) == (1, 1)
        async with fails_with(Status.UNAVAILABLE):
            await stream.receive()
        async with fails_with(Status.UNAVAILABLE):
            await call
        await channel.close()

    run(scenario)


def test_a_channel_finds_a_restarted_server_within_a_second(run: RunScenario) -> None:
    async def scenario(world: World) -> None:
        listener = await listen(world)
        channel = world.client_network.dial(listener.address)
        assert await channel.call(ASK, value(b"1"), timeout_s=5) == value(b"1")
        await listener.stop(0)
        for _ in range(20):  # let any backoff grow
            async with fails_with(Status.UNAVAILABLE):
                await channel.call(ASK, value(b"2"), timeout_s=5)
            await asyncio.sleep(0.02)
        again = await listen(world, address=listener.address)
        async with asyncio.timeout(1):
            while True:
                try:
                    assert await channel.call(ASK, value(b"3"), timeout_s=5) == value(b"3")
                    break
                except RpcError as error:
                    assert error.status is Status.UNAVAILABLE
                    await asyncio.sleep(0.01)
        await channel.close()
        await again.stop(0)

    run(scenario)

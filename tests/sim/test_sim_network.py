"""The simulated network: what becomes of connections when processes die or pause and links are cut."""

from __future__ import annotations

import asyncio

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common.seams import RpcError, ServerStream, Service, Status
from tests.sim.simulated_service import ASK, SERVICE, TALK, status_of, two_machines
from tests.sim.simulation import Simulation, run_simulation
from tests.sim.worlds import eventually


def test_a_killed_server_is_unavailable_and_its_successor_is_found() -> None:
    async def restart(simulation: Simulation) -> None:
        server, client, address = await two_machines(simulation)
        channel = client.network.dial(address)
        stream = channel.open(TALK)
        await stream.send(BytesValue(value=b"hello"))
        await stream.receive()
        pending = asyncio.ensure_future(stream.receive())
        server.kill()
        assert await status_of(pending) is Status.UNAVAILABLE
        assert await status_of(channel.call(ASK, BytesValue(), timeout_s=5)) is Status.UNAVAILABLE
        again = simulation.machine("server")
        await again.network.serve(address, [SERVICE])
        assert await channel.call(ASK, BytesValue(), timeout_s=5) == BytesValue()

    for seed in range(20):
        run_simulation(seed, restart)


def test_a_killed_client_cancels_its_handlers() -> None:
    async def kill(simulation: Simulation) -> None:
        ended: list[str] = []

        async def witness(stream: ServerStream[BytesValue, BytesValue]) -> None:
            try:
                await stream.receive()
                await stream.receive()
                ended.append("half-closed")
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        server, client = simulation.machine("server"), simulation.machine("client")
        listener = await server.network.serve("server:0", [Service("sim.v1.Sim", {}, {TALK: witness})])

        async def use() -> None:
            stream = client.network.dial(listener.address).open(TALK)
            await stream.send(BytesValue(value=b"hello"))
            await stream.receive()

        client.spawn(use())
        await asyncio.sleep(0.1)
        client.kill()
        await eventually(lambda: bool(ended))
        assert ended == ["cancelled"]

    for seed in range(20):
        run_simulation(seed, kill)


def test_what_is_sent_into_a_short_cut_arrives_when_it_heals() -> None:
    async def cut(simulation: Simulation) -> None:
        _, client, address = await two_machines(simulation)
        stream = client.network.dial(address).open(TALK)
        await stream.send(BytesValue(value=b"0"))
        await stream.receive()
        simulation.fabric.cut("server", "client")
        for number in range(1, 4):
            await stream.send(BytesValue(value=b"%d" % number))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await stream.receive()
        simulation.fabric.heal()
        assert [(await stream.receive()) for _ in range(3)] == [
            BytesValue(value=b"%d" % number) for number in range(1, 4)
        ]

    run_simulation(1, cut)


def test_a_long_cut_breaks_connections_and_new_ones_time_out() -> None:
    async def cut(simulation: Simulation) -> None:
        _, client, address = await two_machines(simulation)
        channel = client.network.dial(address)
        stream = channel.open(TALK)
        await stream.send(BytesValue(value=b"hello"))
        await stream.receive()
        simulation.fabric.cut_both("server", "client")
        fresh = client.network.dial(address)
        assert await status_of(fresh.call(ASK, BytesValue(), timeout_s=60)) is Status.UNAVAILABLE
        assert simulation.loop.time() < 2
        assert await status_of(stream.receive()) is Status.UNAVAILABLE
        assert simulation.loop.time() == pytest.approx(15, abs=0.1)
        simulation.fabric.heal()
        for each in (channel, fresh):
            assert await each.call(ASK, BytesValue(value=b"healed"), timeout_s=5)

    run_simulation(1, cut)


def test_a_paused_server_is_silent_and_keeps_its_connections() -> None:
    async def pause(simulation: Simulation) -> None:
        server, client, address = await two_machines(simulation)
        channel = client.network.dial(address)
        stream = channel.open(TALK)
        server.process.pause()
        await stream.send(BytesValue(value=b"hello"))
        assert await status_of(channel.call(ASK, BytesValue(), timeout_s=3)) is Status.DEADLINE_EXCEEDED
        server.process.resume()
        assert await stream.receive() == BytesValue(value=b"hello")

    run_simulation(1, pause)


def test_a_lossy_network_breaks_streams_and_never_drops_from_their_middle() -> None:
    async def count_to(simulation: Simulation) -> int:
        simulation.fabric.weather.break_odds = 0.02
        _, client, address = await two_machines(simulation)
        channel = client.network.dial(address)
        breaks = 0
        for _ in range(20):
            stream = channel.open(TALK)
            try:
                for number in range(10):
                    await stream.send(BytesValue(value=b"%d" % number))
                    assert await stream.receive() == BytesValue(value=b"%d" % number)
            except RpcError as error:
                assert error.status is Status.UNAVAILABLE
                breaks += 1
            stream.cancel()
        assert simulation.trace.counts["network.break"] == breaks
        return breaks

    breaks = [run_simulation(seed, count_to) for seed in range(10)]
    assert 20 < sum(breaks) < 190


def test_connections_can_be_broken_by_hand_and_made_again() -> None:
    async def break_them(simulation: Simulation) -> None:
        _, client, address = await two_machines(simulation)
        channel = client.network.dial(address)
        stream = channel.open(TALK)
        await stream.send(BytesValue(value=b"hello"))
        await stream.receive()
        simulation.fabric.break_connections("server", "client")
        assert await status_of(stream.receive()) is Status.UNAVAILABLE
        assert await channel.call(ASK, BytesValue(), timeout_s=5) == BytesValue()

    run_simulation(1, break_them)

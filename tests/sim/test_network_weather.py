"""Messages of a method that bears it are lost, repeated and overtaken; all others keep their order."""

from __future__ import annotations

import asyncio
import itertools

from google.protobuf.wrappers_pb2 import BytesValue

from streamkeep_common.seams import ServerStream, Service, StreamMethod
from tests.sim.network_weather import MessageWeather
from tests.sim.simulation import Simulation, run_simulation

RAFTY = StreamMethod("/sim.v1.Sim/Rafty", BytesValue, BytesValue)
STRICT = StreamMethod("/sim.v1.Sim/Strict", BytesValue, BytesValue)
MESSAGES = 300


async def send_numbers(simulation: Simulation, weather: MessageWeather) -> dict[str, list[int]]:
    """What arrives, by method, of the numbers from 0 that a client sends on a stream of each."""
    arrived: dict[str, list[int]] = {"rafty": [], "strict": []}

    def collector(name: str):  # type: ignore[no-untyped-def]
        async def collect(stream: ServerStream[BytesValue, BytesValue]) -> None:
            while (message := await stream.receive()) is not None:
                arrived[name].append(int(message.value))

        return collect

    simulation.fabric.weather.of_messages[RAFTY.path] = weather
    server, client = simulation.machine("server"), simulation.machine("client")
    handlers = {RAFTY: collector("rafty"), STRICT: collector("strict")}
    listener = await server.network.serve("server:0", [Service("sim.v1.Sim", {}, handlers)])
    channel = client.network.dial(listener.address)
    streams = [channel.open(RAFTY), channel.open(STRICT)]
    for number in range(MESSAGES):
        for stream in streams:
            await stream.send(BytesValue(value=b"%d" % number))
        await asyncio.sleep(0.01)
    await asyncio.sleep(5)
    return arrived


def test_messages_of_one_method_are_lost_repeated_and_overtaken_and_those_of_others_are_not() -> None:
    async def story(simulation: Simulation) -> None:
        weather = MessageWeather(drop_odds=0.1, duplicate_odds=0.1, late_odds=0.1)
        arrived = await send_numbers(simulation, weather)
        assert arrived["strict"] == list(range(MESSAGES))
        rafty = arrived["rafty"]
        assert rafty[0] == 0, "the first message says what the stream is"
        assert MESSAGES * 0.8 < len(set(rafty)) < MESSAGES
        assert len(rafty) > len(set(rafty)) + 10
        assert sum(later < earlier for earlier, later in itertools.pairwise(rafty)) > 10

    for seed in range(3):
        run_simulation(seed, story)


def test_a_slow_message_holds_up_what_is_behind_it() -> None:
    async def story(simulation: Simulation) -> None:
        arrived = await send_numbers(simulation, MessageWeather(slow_odds=0.05, slow_s=(0.1, 0.5)))
        assert arrived["rafty"] == list(range(MESSAGES))
        assert simulation.trace.counts["network.arrive"] >= 2 * MESSAGES

    run_simulation(1, story)


def test_a_lossy_stream_can_be_used_for_ever() -> None:
    """What was lost or repeated does not change how much its sender may have under way."""

    async def story(simulation: Simulation) -> None:
        simulation.fabric.weather.of_messages[RAFTY.path] = MessageWeather(drop_odds=0.3, duplicate_odds=0.3)
        received = []

        async def collect(stream: ServerStream[BytesValue, BytesValue]) -> None:
            while (message := await stream.receive()) is not None:
                received.append(len(message.value))

        server, client = simulation.machine("server"), simulation.machine("client")
        listener = await server.network.serve("server:0", [Service("sim.v1.Sim", {}, {RAFTY: collect})])
        stream = client.network.dial(listener.address).open(RAFTY)
        for _ in range(100):
            await stream.send(BytesValue(value=bytes(100_000)))
        await asyncio.sleep(1)
        assert len(received) > 50
        assert stream._untaken_bytes == 0

    run_simulation(1, story)


def test_a_tap_sees_what_is_sent() -> None:
    async def story(simulation: Simulation) -> None:
        seen: list[tuple[str, str, bytes]] = []
        simulation.fabric.taps[STRICT.path] = lambda *sent: seen.append(sent)
        await send_numbers(simulation, MessageWeather())
        assert len(seen) == MESSAGES
        assert seen[7] == ("client", "server", BytesValue(value=b"7").SerializeToString())

    run_simulation(1, story)

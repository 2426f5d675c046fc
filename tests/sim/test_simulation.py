"""The simulator keeps what it promises to the simulations that trust it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

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
from tests.sim.loop import SimDeadlockError, SimTimeoutError
from tests.sim.simulation import Machine, Simulation, run_simulation
from tests.sim.worlds import eventually

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


async def status_of(failing: asyncio.Future[object]) -> Status:
    with pytest.raises(RpcError) as caught:
        await failing
    return caught.value.status


# --- Time and order ---


def test_virtual_hours_pass_at_once() -> None:
    async def wait(simulation: Simulation) -> float:
        for _ in range(100):
            await asyncio.sleep(3_600)
        return simulation.loop.time()

    assert run_simulation(1, wait, max_time_s=1e9) == pytest.approx(360_000)


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def collect(_simulation: Simulation) -> list[int]:
        fired: list[int] = []
        for delay in (3, 1, 2):
            asyncio.get_running_loop().call_later(delay, fired.append, delay)
        await asyncio.sleep(4)
        return fired

    assert run_simulation(1, collect) == [1, 2, 3]


async def race(_simulation: Simulation) -> str:
    order: list[str] = []

    async def run(name: str) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            order.append(name)

    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(run(name))
    return "".join(order)


def test_the_seed_chooses_among_what_is_ready() -> None:
    orders = [run_simulation(seed, race) for seed in range(50)]
    assert len(set(orders)) > 40
    assert orders == [run_simulation(seed, race) for seed in range(50)]


async def turmoil(simulation: Simulation) -> str:
    """Calls, streams, work, kills, cuts and cancelled task groups; what happened, condensed."""
    simulation.fabric.weather.break_odds = 0.01
    simulation.fabric.weather.spike_odds = 0.05
    server, client, address = await two_machines(simulation)
    rng = simulation.rng("turmoil")

    async def chatter(number: int) -> None:
        channel = client.network.dial(address)
        for turn in range(10):
            try:
                async with asyncio.timeout(rng.uniform(0.001, 0.5)):
                    stream = channel.open(TALK)
                    await stream.send(BytesValue(value=b"%d" % turn))
                    await stream.receive()
            except (RpcError, TimeoutError) as error:
                simulation.note("failed", f"{number} {turn} {error!r}")
            simulation.note("order", f"{number} {turn}")
            stream.cancel()

    async def quarrel() -> None:
        async with asyncio.TaskGroup() as group:  # keeps its tasks in a set
            for number in range(20):
                group.create_task(linger(number))
            await asyncio.sleep(0.001)
            raise LookupError

    async def linger(number: int) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            simulation.note("lingered", str(number))

    worker = client.workers.start("worker")
    talkers = [client.spawn(chatter(number)) for number in range(10)]
    work = [worker.run(lambda number=number: simulation.note("work", str(number))) for number in range(20)]
    with pytest.raises(ExceptionGroup):
        await quarrel()
    simulation.fabric.cut("client", "server")
    await asyncio.sleep(0.2)
    simulation.fabric.heal()
    server.kill()
    await asyncio.gather(*talkers, *work)
    simulation.note("steps", str(simulation.loop.steps))
    return simulation.trace.digest()


def test_one_seed_gives_one_trace_in_every_process() -> None:
    program = (
        "from tests.sim.simulation import run_simulation\n"
        "from tests.sim.test_simulation import turmoil\n"
        "print(*(run_simulation(seed, turmoil) for seed in range(5)))\n"
    )
    root = Path(__file__).parents[2]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": os.pathsep.join([str(root), *sys.path]),
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.split()
        for hash_seed in ("1", "2")
    ]
    here = [run_simulation(seed, turmoil) for seed in range(5)]
    assert outputs == [here, here]
    assert len(set(here)) == 5


def test_what_can_never_go_on_is_an_error_that_names_who_waits() -> None:
    async def wait_for_nothing(_simulation: Simulation) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(SimDeadlockError, match=r"wait_for_nothing at test_simulation\.py"):
        run_simulation(1, wait_for_nothing)


def test_what_goes_on_for_ever_is_an_error() -> None:
    async def tick(_simulation: Simulation) -> None:
        while True:
            await asyncio.sleep(1)

    async def spin(_simulation: Simulation) -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(SimTimeoutError, match="virtual seconds"):
        run_simulation(1, tick, max_time_s=60)
    with pytest.raises(SimTimeoutError, match="steps"):
        run_simulation(1, spin, max_steps=10_000)


def test_what_dies_unseen_fails_the_simulation() -> None:
    async def lose_a_callback(_simulation: Simulation) -> None:
        asyncio.get_running_loop().call_soon([].pop)
        await asyncio.sleep(1)

    with pytest.raises(AssertionError, match="died unseen"):
        run_simulation(1, lose_a_callback)


def test_a_simulation_has_no_threads() -> None:
    async def use_a_thread(simulation: Simulation) -> None:
        with pytest.raises(RuntimeError, match="no threads"):
            await asyncio.to_thread(int)
        refused: list[RuntimeError] = []

        def call() -> None:
            try:
                simulation.loop.call_soon_threadsafe(int)
            except RuntimeError as error:
                refused.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        assert refused

    run_simulation(1, use_a_thread)


def test_a_checker_is_called_after_every_step() -> None:
    async def count(simulation: Simulation) -> None:
        calls: list[int] = []
        before = simulation.loop.steps
        simulation.loop.after_step = lambda _process: calls.append(simulation.loop.steps)
        await asyncio.sleep(1)
        await asyncio.sleep(1)
        assert calls == list(range(before, before + len(calls)))
        assert len(calls) >= 2

    run_simulation(1, count)


# --- Processes ---


def test_nothing_of_a_killed_process_runs_not_even_its_clean_up() -> None:
    async def kill(simulation: Simulation) -> list[str]:
        machine = simulation.machine("a")
        done: list[str] = []

        async def work() -> None:
            try:
                await asyncio.sleep(10)
                done.append("woke up")
            finally:
                done.append("cleaned up")

        machine.spawn(work())
        machine.process.call(asyncio.get_running_loop().call_later, 5, done.append, "timer")
        job = machine.process.call(machine.workers.start, "worker").run
        machine.process.call(job, lambda: done.append("worked"))
        machine.kill()
        await asyncio.sleep(60)
        return list(done)

    assert not any(
        "worked" not in done and done for done in (run_simulation(seed, kill) for seed in range(10))
    )


def test_a_paused_process_stands_still_and_goes_on_where_it_was() -> None:
    async def pause(simulation: Simulation) -> None:
        machine = simulation.machine("a")
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                await asyncio.sleep(1)
                ticks.append(simulation.loop.time())

        machine.spawn(tick())
        await asyncio.sleep(2.5)
        machine.process.pause()
        await asyncio.sleep(10)
        assert len(ticks) == 2
        machine.process.resume()
        await asyncio.sleep(1.2)
        assert [round(time_s, 1) for time_s in ticks] == [1.0, 2.0, 12.5, 13.5]

    run_simulation(1, pause)


def test_each_process_has_a_wall_clock_that_may_jump() -> None:
    async def jump(simulation: Simulation) -> None:
        one, other = simulation.machine("a").clock, simulation.machine("b").clock
        assert one.now_ms() == other.now_ms()
        one.jump(-3_600_000)
        assert one.now_ms() == other.now_ms() - 3_600_000
        assert one.monotonic() == other.monotonic()

    run_simulation(1, jump)


def test_each_process_has_a_monotonic_clock_at_a_rate_of_its_own() -> None:
    async def drift(simulation: Simulation) -> None:
        one, other = simulation.machine("a").clock, simulation.machine("b").clock
        await other.sleep(10)
        one.run_at(1.25)
        await one.sleep(10)
        assert other.monotonic() == pytest.approx(18)
        assert one.monotonic() == pytest.approx(20)
        one.run_at(1.0)
        await other.sleep(1)
        assert one.monotonic() == pytest.approx(21)

    run_simulation(1, drift)


def test_stalled_workers_complete_nothing_until_they_are_resumed() -> None:
    async def stall(simulation: Simulation) -> None:
        workers = simulation.machine("a").workers
        worker = workers.start("disk")
        workers.stall()
        flush = worker.run(lambda: "flushed")
        await asyncio.sleep(100)
        assert not flush.done()
        workers.resume()
        assert await flush == "flushed"

    run_simulation(1, stall)


# --- The network ---


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


def test_who_waits_for_less_than_a_moment_sees_time_pass() -> None:
    async def story(simulation: Simulation) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(100)
        deadline = loop.time() + 1e-5
        for _ in range(20):
            await asyncio.sleep(1e-30)
        assert loop.time() >= deadline

    run_simulation(0, story)

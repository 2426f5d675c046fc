"""A broker's logs through crashes at any moment: nothing that was acknowledged is ever lost or changed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_proto.v1 import broker_pb2
from streamkeep_proto.v1.records_pb2 import LogSegment
from tests.sim.seeds import seeds
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.broker.log_manager.host import TOPIC_ID, Host, append, create, read_all

LIVES = 5
SEEDS = seeds(100)
KINDS = ("created", "records deleted", "power cut", "kill", "stop", "unacknowledged survived")


class Ledger:
    """What was written, and how much of it was acknowledged, by partition."""

    def __init__(self) -> None:
        self.written: dict[int, dict[int, bytes]] = {}
        self.acknowledged: dict[int, int] = {}
        self.events: Counter[str] = Counter()

    def acknowledge(self, log: PartitionLog) -> None:
        end = self.acknowledged.get(log.partition, 0)
        assert log.flushed_end_offset >= end, "what is durable never becomes less"
        self.acknowledged[log.partition] = log.flushed_end_offset

    async def check(self, log: PartitionLog) -> None:
        """All that was acknowledged is there and unchanged; what else survived was written once."""
        assert not log.defects
        assert log.flushed_end_offset == log.log_end_offset
        assert log.log_end_offset >= self.acknowledged.get(log.partition, 0)
        expected = self.written.get(log.partition, {})
        survived = LogSegment.FromString(await read_all(log)).batches
        offset = log.log_start_offset if not survived else survived[0].base_offset
        for batch in survived:
            assert batch.base_offset == offset
            assert batch.records == expected[offset]
            offset += batch.last_offset_delta + 1
        assert offset == log.log_end_offset
        self.events["unacknowledged survived"] += offset > self.acknowledged.get(log.partition, 0)
        self.written[log.partition] = {at: data for at, data in expected.items() if at < offset}
        self.acknowledged[log.partition] = offset


async def produce(manager: LogManager, ledger: Ledger, rng: random.Random) -> None:
    """Append to a few partitions, old and new, until the process dies."""
    while True:
        partition = rng.randrange(8)
        log = manager.get(TOPIC_ID, partition)
        if log is None:
            log = create(manager, partition, segment_bytes=4096)
            ledger.events["created"] += 1
        log.on_progress = lambda log=log: ledger.acknowledge(log)  # type: ignore[misc]
        value = rng.randbytes(rng.choice((1, 100, 3000)))
        base_offset = log.log_end_offset
        append(manager, log, value)
        ledger.written.setdefault(partition, {})[base_offset] = b"\x12" + _length(value) + value
        if rng.random() < 0.02 and log.flushed_end_offset:
            log.advance_high_watermark(log.flushed_end_offset)
            log.delete_records(rng.randint(0, log.high_watermark))
            ledger.events["records deleted"] += 1
        if rng.random() < 0.5:
            await asyncio.sleep(rng.choice((0, 0.0001, 0.01)))


def _length(value: bytes) -> bytes:
    """A varint below 2**14."""
    size = len(value)
    return bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])


async def lives(simulation: Simulation) -> Counter[str]:
    host, ledger, rng = Host(simulation), Ledger(), simulation.rng("test")
    for _ in range(LIVES):
        manager = await host.start(checkpoint_ms=100, retention_check_ms=500, max_open_files=16)
        assert manager.directories[0].state == broker_pb2.ONLINE
        assert {log.partition for log in manager} >= {p for p, end in ledger.acknowledged.items() if end}
        for log in manager:
            await ledger.check(log)
        producing = host.machine.spawn(produce(manager, ledger, rng))
        await asyncio.sleep(rng.choice((0.001, 0.02, 0.5)) * rng.random())
        if rng.random() < 0.3:
            await manager.checkpoint()
        ending = rng.choice(("power cut", "power cut", "kill", "stop"))
        ledger.events[ending] += 1
        if ending == "stop":
            producing.cancel()
            await asyncio.wait([producing])
            await manager.stop()
        host.die(power_cut=ending == "power cut")
    return ledger.events


@pytest.mark.parametrize("share", range(4))
def test_nothing_acknowledged_is_lost_at_any_moment_of_death(share: int) -> None:
    events: Counter[str] = Counter()
    for seed in SEEDS[share::4]:
        try:
            events += run_simulation(seed, lives)
        except BaseException as failure:
            failure.add_note(f"seed {seed}")
            raise
    for kind in KINDS if len(SEEDS) >= 100 else ():
        assert events[kind] > 0, f"it never happened: {kind}"


def test_a_seed_replays_the_same_run() -> None:
    assert run_simulation(7, lives) == run_simulation(7, lives)

"""Two logs that lead and follow in turns, through restarts and power cuts: when one has caught up with the
other they are equal, byte for byte, and know the same of epochs and producers."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from streamkeep_broker.log.leader_epochs import EpochEnd
from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_common.settings import TopicSettings
from tests.sim.simulation import Simulation, run_simulation
from tests.unit.broker.log_manager.host import TOPIC_ID, Host, batch_of, create, read_all, until_flushed

SMALL = TopicSettings.of({"retention_ms": "-1"})
SEGMENT_BYTES = (900, 2500)
"""Segments of replicas may end elsewhere."""

COMMANDS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 6)),
        st.tuples(st.just("replicate"), st.integers(1, 9)),
        st.tuples(st.just("elect"), st.integers(0, 1)),
        st.tuples(st.just("flush"), st.integers(0, 1)),
        st.tuples(st.just("crash"), st.integers(0, 1)),
    ),
    max_size=40,
)


class Pair:
    """Partitions 0 and 1 stand for two replicas of one."""

    def __init__(self, simulation: Simulation) -> None:
        self.host = Host(simulation)
        self.epoch = 0
        self.written = 0
        self.manager: LogManager
        self.logs: list[PartitionLog]
        self.leader = 0

    async def start(self) -> None:
        self.manager = await self.host.start()
        self.logs = []
        for number, segment_bytes in enumerate(SEGMENT_BYTES):
            log = self.manager.get(TOPIC_ID, number) or create(self.manager, number)
            assert not log.defects
            log.settings = replace(SMALL, segment_bytes=segment_bytes, index_interval_bytes=300)
            self.logs.append(log)
        await self.elect(self.leader)

    async def append(self, count: int) -> None:
        log = self.logs[self.leader]
        for _ in range(count):
            self.written += 1
            known = log.producers.by_id.get(1)
            sequence = known.batches[-1].last_sequence + 1 if known else 0
            batch = batch_of(b"%d" % self.written * 20, sequence=sequence)
            self.manager.append(log, batch, batch.records, leader_epoch=self.epoch, now_ms=1)

    async def elect(self, leader: int) -> None:
        self.leader = leader
        self.epoch += 1
        log = self.logs[leader]
        log.leader_epochs.assign(self.epoch, log.log_end_offset)

    async def flush(self, which: int) -> None:
        self.manager.request_flush(self.logs[which])
        await until_flushed(self.logs[which])

    async def crash(self, power_cut: int) -> None:
        self.host.die(power_cut=bool(power_cut))
        await self.start()

    async def replicate(self, frames: int) -> None:
        """What a follower does, for some of the frames that it lacks."""
        leader, follower = self.logs[self.leader], self.logs[1 - self.leader]
        while (end := diverging_end(leader, follower)) is not None:
            offset = min(end.end_offset, follower.epoch_end(end.epoch).end_offset, follower.log_end_offset)
            assert offset < follower.log_end_offset, "every round takes something away"
            await self.manager.truncate(follower, offset)
        for _ in range(frames):
            offset = follower.log_end_offset
            if offset == leader.log_end_offset:
                break
            piece = await leader.read(offset, max_bytes=1, end_offset=leader.log_end_offset)
            self.manager.append_frames(
                follower, piece.data, previous_end_offset=offset, leader_epoch=self.epoch
            )

    async def compare(self) -> None:
        await self.replicate(1 << 30)
        await self.flush(0)
        await self.flush(1)
        one, other = self.logs
        data = await read_all(one)
        assert data == await read_all(other)
        for log in self.logs:
            hashed = await log.hash_frames(0, log.log_end_offset)
            assert hashed == (hashlib.sha256(data).digest(), 0, log.log_end_offset, len(data))
        assert one.last_epoch == other.last_epoch
        epochs = [log.leader_epochs.at(offset) for log in self.logs for offset in range(log.log_end_offset)]
        assert epochs[: len(epochs) // 2] == epochs[len(epochs) // 2 :]
        states = [
            {key: (state.epoch, state.batches) for key, state in log.producers.by_id.items()}
            for log in self.logs
        ]
        assert states[0] == states[1]


def diverging_end(leader: PartitionLog, follower: PartitionLog) -> EpochEnd | None:
    """Where the leader's part of the follower's last epoch ends, if the follower has more than that."""
    if not follower.last_epoch:
        return None
    end = leader.epoch_end(follower.last_epoch)
    agrees = end.epoch == follower.last_epoch and end.end_offset >= follower.log_end_offset
    return None if agrees else end


@settings(max_examples=120, deadline=None)
@given(COMMANDS)
def test_replicas_are_identical_after_any_leader_changes_and_crashes(commands: list[tuple[str, int]]) -> None:
    async def scenario(simulation: Simulation) -> None:
        pair = Pair(simulation)
        await pair.start()
        for command, argument in commands:
            await getattr(pair, command)(argument)
        await pair.compare()
        await pair.crash(1)
        await pair.compare()

    run_simulation(1, scenario)

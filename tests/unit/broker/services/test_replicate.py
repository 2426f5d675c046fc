"""What followers can rely on: they get the log as it stands, and news of it at once."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import pytest

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.read import LogSlice
from streamkeep_common.seams import RpcError
from streamkeep_proto.v1.replication_pb2 import FollowStart, ReplicateRequest
from tests.unit.broker.log_manager.host import TOPIC_ID, read_all
from tests.unit.broker.services.pushing import Pushing, simulated


@simulated
async def test_a_follower_gets_the_log_as_it_stands_and_what_is_appended_at_once(world: Pushing) -> None:
    await world.start()
    world.append(b"a")
    world.append(b"b", b"c")
    follower = await world.follower()
    await follower.start()
    await follower.until_offset(3)
    world.append(b"d")
    await follower.until_offset(4)
    log = world.partition.log
    await world.until(lambda: log.flushed_end_offset == 4)
    assert follower.frames() == await read_all(log)
    assert [push.previous_end_offset for push in follower.pushes if push.frames] == [0, 3]
    assert world.counts.bytes == log.size_bytes


@simulated
async def test_a_batch_is_acknowledged_by_one_round_trip_and_the_watermark_is_news_at_once(
    world: Pushing,
) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start()
    pending = world.append(b"a")
    await follower.until_offset(1)
    assert follower.pushes[-1].high_watermark == 0
    await follower.ack(1)
    before = world.machine.clock.monotonic()
    await follower.until(lambda: follower.pushes[-1].high_watermark == 1)
    assert not follower.pushes[-1].frames
    assert pending.is_acknowledged
    assert world.machine.clock.monotonic() - before < 0.1


@simulated
async def test_a_follower_that_has_not_flushed_acknowledges_nothing(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start()
    pending = world.append(b"a")
    await follower.until_offset(1)
    await follower.ack(1, flushed=0)
    await follower.receive()
    assert not pending.is_done
    await follower.ack(1)
    await world.until(lambda: pending.is_acknowledged)


@simulated
async def test_news_of_many_partitions_shares_a_response(world: Pushing) -> None:
    await world.start(partitions=50)
    follower = await world.follower()
    for number in range(50):
        await follower.start(number + 1, partition=number)
    for number in range(50):
        world.append(b"a", partition=number)
    await follower.until(lambda: all(follower.next_offset(number + 1) for number in range(50)))
    assert len([response for response in follower.responses if response.pushes]) <= 52


@simulated
async def test_an_idle_stream_beats_and_a_silent_follower_is_let_go(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start()
    beating = asyncio.ensure_future(follower.keep_beating(world.machine.clock.sleep))
    for _ in range(6):
        before = world.machine.clock.monotonic()
        assert await follower.receive() is not None
        assert world.machine.clock.monotonic() - before <= 0.5
    assert world.counts.streams == 1
    beating.cancel()
    with pytest.raises(RpcError, match="silent"):
        while await follower.receive() is not None:
            pass
    assert world.counts.streams == 0
    assert world.partition.leadership is not None
    assert world.partition.leadership.followers == 0


@simulated
async def test_what_the_leader_itself_is_slow_to_look_at_is_not_the_followers_silence(world: Pushing) -> None:
    await world.start(partitions=6)
    starts = []
    for number in world.hosted.by_number:
        world.append(b"a", b"b", partition=number)
        starts.append(
            FollowStart(
                subscription=number + 1,
                topic_id=TOPIC_ID,
                partition=number,
                leader_epoch=1,
                log_end_offset=1,
                flushed_end_offset=1,
            )
        )
    follower = await world.follower()
    beating = asyncio.ensure_future(follower.keep_beating(world.machine.clock.sleep))
    read = PartitionLog.read

    async def read_slowly(*where: Any, **what: Any) -> LogSlice:
        await world.machine.clock.sleep(0.3)
        return await read(*where, **what)

    with patch.object(PartitionLog, "read", read_slowly):
        await follower.send(ReplicateRequest(start=starts))
        assert (await follower.until_end(6)).restart_offset == 0
    beating.cancel()

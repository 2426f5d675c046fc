"""How much a follower is sent, on which of its two streams, and how fast."""

from __future__ import annotations

import asyncio

from streamkeep_common.limits import MIB
from tests.unit.broker.log_manager.host import read_all
from tests.unit.broker.services.pushing import THREE, Pushing, simulated


@simulated
async def test_no_more_than_the_window_is_sent_ahead_of_the_acknowledgements(world: Pushing) -> None:
    await world.start(window_bytes=4 * MIB)
    await world.fill(3 * MIB)
    follower = await world.follower()
    await follower.start()
    beating = asyncio.ensure_future(follower.keep_beating(world.machine.clock.sleep))
    for _ in range(4):
        await follower.receive()
    sent = follower.next_offset()
    assert MIB <= len(follower.frames()) <= 2 * MIB + 300_000
    await follower.ack(sent)
    await follower.until(lambda: follower.next_offset() > sent)
    beating.cancel()


@simulated
async def test_who_is_far_behind_is_sent_to_the_other_stream_and_back(world: Pushing) -> None:
    await world.start()
    await world.fill(6 * MIB)
    live = await world.follower(THREE)
    await live.start()
    assert (await live.until_end()).behind
    catching_up = await world.follower(THREE, catch_up=True)
    await catching_up.start()
    assert (await catching_up.until_end()).caught_up
    reached = catching_up.next_offset()
    await live.start(2, at=reached, last_epoch=1)
    await live.until(lambda: world.partition.log.log_end_offset in {reached, live.next_offset(2)})
    assert catching_up.frames() + live.frames(2) == await read_all(world.partition.log)


@simulated
async def test_who_lacks_little_is_not_taken_on_the_stream_for_catching_up(world: Pushing) -> None:
    await world.start()
    await world.fill(MIB // 2)
    follower = await world.follower(catch_up=True)
    await follower.start()
    assert (await follower.until_end()).caught_up
    assert not follower.frames()


@simulated
async def test_a_follower_whose_share_is_stuck_leaves_the_live_stream(world: Pushing) -> None:
    await world.start(partitions=2, window_bytes=16 * MIB)
    follower = await world.follower()
    await follower.start()
    await follower.start(2, partition=1)
    beating = asyncio.ensure_future(follower.keep_beating(world.machine.clock.sleep))
    for _ in range(4):
        await world.fill(3 * MIB)
        while follower.next_offset() * 250_000 < 4 * MIB and await follower.receive():
            if follower.next_offset() == world.partition.log.log_end_offset:
                break
    assert (await follower.until_end()).behind
    world.append(b"a", partition=1)
    await follower.until_offset(1, 2)
    beating.cancel()


@simulated
async def test_catching_up_keeps_to_the_topics_rate_and_the_live_stream_does_not_know_it(
    world: Pushing,
) -> None:
    await world.start(catch_up_rate_bytes=1_000_000)
    await world.fill(4 * MIB)
    live, slow = await world.follower(), await world.follower(THREE, catch_up=True)
    beating = asyncio.ensure_future(slow.keep_beating(world.machine.clock.sleep))
    before = world.machine.clock.monotonic()
    await live.start()
    await live.until_offset(16)
    assert world.machine.clock.monotonic() - before < 0.5
    before = world.machine.clock.monotonic()
    await slow.start()
    assert (await slow.until_end()).caught_up
    elapsed_s = world.machine.clock.monotonic() - before
    assert 2.0 < elapsed_s < 5.0
    beating.cancel()

"""What a follower cannot do to its leader: claim what it was never sent, or ask without end."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep_broker.services import push_stream
from streamkeep_common.seams import RpcError, Status
from tests.unit.broker.services.pushing import FollowerClient, Pushing, simulated


@pytest.mark.parametrize(("end", "flushed"), [(2, 2), (1, 2), (-1, -1), (1, -1)])
def test_what_was_never_pushed_cannot_be_acknowledged(end: int, flushed: int) -> None:
    @simulated
    async def scenario(world: Pushing) -> None:
        await world.start()
        follower = await world.follower()
        await follower.start()
        pending = world.append(b"a")
        await follower.until_offset(1)
        await follower.ack(end, flushed)
        with pytest.raises(RpcError) as broken:
            while await follower.receive() is not None:
                pass
        assert broken.value.status is Status.INVALID_ARGUMENT
        assert not pending.is_done

    scenario()


@simulated
async def test_a_log_that_cannot_be_is_refused(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start(at=1, flushed=2)
    with pytest.raises(RpcError) as broken:
        await follower.receive()
    assert broken.value.status is Status.INVALID_ARGUMENT


@simulated
async def test_acknowledgements_and_stops_of_what_has_ended_are_no_error(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.ack(5, subscription=9)
    await follower.stop(9)
    await follower.start()
    world.append(b"a")
    await follower.until_offset(1)


def test_a_follower_that_asks_and_reads_no_answer_is_asked_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each refused start is an answer that waits for its turn."""
    monkeypatch.setattr(push_stream, "MAX_FOLLOWED", 20)
    monkeypatch.setattr(push_stream, "ENDINGS_PER_RESPONSE", 5)

    @simulated
    async def scenario(world: Pushing) -> None:
        await world.start()
        follower = await world.follower()
        most = 0
        asking = asyncio.ensure_future(ask(follower))
        while not asking.done():
            await world.machine.clock.sleep(0.001)
            for stream in world.service._streams:
                most = max(most, len(stream._endings))  # type: ignore[attr-defined]
            if most >= 20:
                break
        await world.machine.clock.sleep(0.1)
        assert most <= 21
        await follower.until_end(2000)
        await asking

    async def ask(follower: FollowerClient) -> None:
        for number in range(2000):
            await follower.start(number + 1, topic_id=b"?" * 16)

    scenario()

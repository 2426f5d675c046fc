"""A follower is told where its log and its leader's part, and where to begin."""

from __future__ import annotations

from tests.unit.broker.replication.led import image
from tests.unit.broker.services.pushing import THREE, Pushing, simulated


@simulated
async def test_a_follower_past_the_leaders_end_is_told_where_they_part(world: Pushing) -> None:
    await world.start()
    world.append(b"a", b"b")
    follower = await world.follower()
    await follower.start(at=7, last_epoch=1)
    end = await follower.until_end()
    assert (end.diverged.leader_epoch, end.diverged.end_offset) == (1, 2)
    assert world.partition.high_watermark == 0, "what it has beyond the leader acknowledges nothing"


@simulated
async def test_a_follower_with_an_unknown_tail_is_told_where_they_part(world: Pushing) -> None:
    await world.start()
    world.append(b"a", b"b")
    world.apply(image(isr=(1, 2), leader_epoch=5, partition_epoch=2))
    world.append(b"c")
    follower = await world.follower()
    await follower.start(at=3, last_epoch=4, leader_epoch=5)
    end = await follower.until_end()
    assert (end.diverged.leader_epoch, end.diverged.end_offset) == (1, 2)
    await follower.start(2, at=2, last_epoch=1, leader_epoch=5)
    await follower.until_offset(3, 2)
    assert follower.of(2)[0].previous_end_offset == 2


@simulated
async def test_a_follower_below_the_log_start_begins_anew_where_a_frame_begins(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    for values in ((b"a", b"b"), (b"c", b"d", b"e"), (b"f",)):
        world.append(*values)
    await follower.start()
    await follower.until_offset(6)
    await follower.ack(6)
    await world.until(lambda: world.partition.high_watermark == 6)
    world.partition.delete_records(3)
    again = await world.follower(THREE)
    await again.start(at=1, last_epoch=1)
    assert (await again.until_end()).restart_offset == 2, "offset 3 is within the batch that begins at 2"
    await again.start(2, at=3)
    assert (await again.until_end(2)).restart_offset == 2
    await again.start(3, at=2)
    await again.until_offset(6, 3)
    assert again.of(3)[0].log_start_offset == 3


@simulated
async def test_a_follower_without_records_goes_on_at_its_end_if_a_frame_begins_there(world: Pushing) -> None:
    await world.start()
    world.append(b"a", b"b")
    world.append(b"c")
    follower = await world.follower()
    await follower.start(at=2)
    await follower.until_offset(3)
    await follower.start(2, at=1)
    assert (await follower.until_end(2)).restart_offset == 0
    await follower.start(3, at=9)
    assert (await follower.until_end(3)).restart_offset == 0

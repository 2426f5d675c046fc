"""What ends between a leader and a follower, when either goes or a newer one comes."""

from __future__ import annotations

from streamkeep_common.errors import NotLeaderError, ShuttingDownError, to_proto
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.broker_pb2 import Closing
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from tests.unit.broker.services.pushing import THREE, TWO, Pushing, simulated


@simulated
async def test_what_was_stopped_is_pushed_no_more_and_counts_no_more(world: Pushing) -> None:
    await world.start()
    follower = await world.follower()
    await follower.start()
    await follower.receive()
    await follower.stop()
    assert world.partition.leadership is not None
    leadership = world.partition.leadership
    await world.until(lambda: leadership.followers == 0)
    world.append(b"a")
    await follower.receive()
    assert follower.next_offset() == 0
    assert world.partition.leads


@simulated
async def test_a_leader_that_is_told_of_a_newer_one_leads_no_more(world: Pushing) -> None:
    await world.start()
    follower, other = await world.follower(), await world.follower(THREE)
    await follower.start()
    await other.start()
    pending = world.append(b"a")
    await follower.until_offset(1)
    hint = LeaderHint(broker_id=TWO, address="b:1", leader_epoch=2)
    await follower.stop(newer=hint)
    await world.until(lambda: not world.partition.leads)
    assert isinstance(pending.error, NotLeaderError)
    assert pending.error.leader == hint
    assert (await other.until_end()).error.code == errors_pb2.NOT_LEADER


@simulated
async def test_the_newest_stream_of_a_follower_is_the_one_that_counts(world: Pushing) -> None:
    await world.start()
    older, newer = await world.follower(), await world.follower()
    await older.start()
    await older.receive()
    await newer.start()
    await newer.receive()
    pending = world.append(b"a")
    await newer.until_offset(1)
    await older.ack(0)
    await newer.ack(1)
    await world.until(lambda: pending.is_acknowledged)
    assert older.next_offset() == 0


@simulated
async def test_a_stopping_broker_says_so_and_a_half_closed_stream_ends_well(world: Pushing) -> None:
    await world.start()
    staying, leaving = await world.follower(), await world.follower(THREE)
    await staying.start()
    await staying.receive()
    await leaving.stream.half_close()
    while await leaving.receive() is not None:
        pass
    world.service.close(Closing(error=to_proto(ShuttingDownError("stopping"))))
    while await staying.receive() is not None:
        pass
    assert staying.closing is not None
    assert staying.closing.error.code == errors_pb2.SHUTTING_DOWN

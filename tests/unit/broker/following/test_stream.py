"""A follower's stream against a leader that is played by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from streamkeep_broker.replication.following.state import Lane
from streamkeep_broker.replication.following.stream import FollowerStream
from streamkeep_common.methods import REPLICATE, REPLICATION_SERVICE
from streamkeep_common.seams import RpcError, ServerStream, Service, Status
from streamkeep_proto.v1.broker_pb2 import Closing
from streamkeep_proto.v1.errors_pb2 import SHUTTING_DOWN, STALE_BROKER_EPOCH, Error, LeaderHint
from streamkeep_proto.v1.replication_pb2 import (
    FollowEnd,
    FollowerAck,
    FollowerHello,
    FollowStart,
    ReplicaPush,
    ReplicateRequest,
    ReplicateResponse,
)
from tests.sim.simulation import Simulation
from tests.unit.broker.simulated import as_test

ADDRESS = "leader:7201"


class Partition:
    """A subscriber that does as it is told."""

    def __init__(self, stream: FollowerStream) -> None:
        self.subscriptions: list[int] = []
        self.pushes: list[ReplicaPush] = []
        self.losses = 0
        self.may_start = True
        self._stream = stream

    def join(self) -> None:
        self._stream.join(self)

    def start(self, subscription: int) -> FollowStart | None:
        if not self.may_start:
            return None
        self.subscriptions.append(subscription)
        return FollowStart(subscription=subscription)

    def take(self, push: ReplicaPush) -> None:
        self.pushes.append(push)

    def acknowledge(self) -> FollowerAck:
        return FollowerAck(subscription=self.subscriptions[-1], log_end_offset=len(self.pushes))

    def lost(self) -> None:
        self.losses += 1


class Leader:
    """Takes what is said on all streams, and says what the test wants."""

    def __init__(self) -> None:
        self.requests: list[ReplicateRequest] = []
        self.hellos = 0
        self.is_mute = False
        self.is_tired = False
        """It ends its next stream in good order as soon as it is asked something on it."""
        self.takes_s = 0.0
        """How long it has to do with each request."""
        self.refusal: RpcError | None = None
        self._streams: list[ServerStream[ReplicateRequest, ReplicateResponse]] = []

    @property
    def said(self) -> list[ReplicateRequest]:
        """What was said but heartbeats."""
        return [request for request in self.requests if request.ByteSize()]

    async def handle(self, stream: ServerStream[ReplicateRequest, ReplicateResponse]) -> None:
        if self.refusal is not None:
            self.hellos += 1
            raise self.refusal
        self._streams.append(stream)
        beating = asyncio.ensure_future(self._beat(stream))
        try:
            while (request := await stream.receive()) is not None:
                self.requests.append(request)
                self.hellos += request.HasField("hello")
                if self.is_tired:
                    return
                await asyncio.sleep(self.takes_s)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            self._streams.remove(stream)

    async def say(self, response: ReplicateResponse) -> None:
        await self._streams[-1].send(response)

    @property
    def streams(self) -> int:
        return len(self._streams)

    async def _beat(self, stream: ServerStream[ReplicateRequest, ReplicateResponse]) -> None:
        while True:
            if not self.is_mute:
                await stream.send(ReplicateResponse())
            await asyncio.sleep(0.4)


class Scene:
    """One stream between two machines."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.leader = Leader()
        self.machine = simulation.machine("leader")
        self.follower = simulation.machine("follower")
        self.hello: FollowerHello | None = FollowerHello(broker_id=2, broker_epoch=7)
        self.failures: list[Exception] = []
        self.stream = FollowerStream(
            Lane.LIVE,
            ADDRESS,
            network=self.follower.network,
            clock=self.follower.clock,
            rng=self.follower.rng,
            hello=lambda: self.hello,
            on_failure=self.failures.append,
        )

    async def serve(self) -> None:
        service = Service(name=REPLICATION_SERVICE, unary={}, streams={REPLICATE: self.leader.handle})
        await self.machine.spawn(self.machine.network.serve(ADDRESS, [service]))

    async def followed(self) -> Partition:
        """A partition that has been started."""
        partition = Partition(self.stream)
        self.call(partition.join)
        await self.until(lambda: any(request.start for request in self.leader.requests))
        return partition

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """As the follower's process."""
        return self.follower.process.call(function, *arguments)

    async def sleep(self, seconds: float) -> None:
        await self.follower.clock.sleep(seconds)

    async def until(self, condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
        deadline = self.follower.clock.monotonic() + within_s
        while not condition():
            assert self.follower.clock.monotonic() < deadline, "it never came about"
            await self.sleep(0.001)


def scene(play: Callable[[Scene], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Make a test of it."""

    async def run(simulation: Simulation) -> None:
        one = Scene(simulation)
        await one.serve()
        await play(one)
        assert not one.failures

    return as_test(play, run)


@scene
async def test_who_follows_is_said_first_and_only_then(scene: Scene) -> None:
    await scene.followed()
    first, *rest = scene.leader.requests
    assert first == ReplicateRequest(hello=scene.hello)
    assert not any(request.HasField("hello") for request in rest)


@scene
async def test_something_is_said_twice_a_second_at_least(scene: Scene) -> None:
    await scene.followed()
    before = len(scene.leader.requests)
    await scene.sleep(10.0)
    assert 20 <= len(scene.leader.requests) - before <= 30


@scene
async def test_what_moved_together_is_acknowledged_together(scene: Scene) -> None:
    partitions = [Partition(scene.stream) for _ in range(50)]
    for partition in partitions:
        scene.call(partition.join)
    await scene.until(lambda: all(partition.subscriptions for partition in partitions))
    for partition in partitions * 3:
        scene.call(scene.stream.moved, partition)
    await scene.until(lambda: any(request.acks for request in scene.leader.requests))
    await scene.sleep(0.1)
    acks = [len(request.acks) for request in scene.leader.said if request.acks]
    assert acks == [50]


@scene
async def test_a_push_of_what_was_left_is_dropped(scene: Scene) -> None:
    partition = await scene.followed()
    number = partition.subscriptions[0]
    scene.call(scene.stream.leave, partition, number, LeaderHint(broker_id=3, leader_epoch=9))
    await scene.leader.say(ReplicateResponse(pushes=[ReplicaPush(subscription=number)]))
    await scene.until(lambda: any(request.stop for request in scene.leader.requests))
    await scene.sleep(0.1)
    assert partition.pushes == []
    (stop,) = scene.leader.said[-1].stop
    assert (stop.subscription, stop.newer_leader.leader_epoch) == (number, 9)


@scene
async def test_a_number_is_never_used_twice(scene: Scene) -> None:
    partition = await scene.followed()
    for _ in range(3):
        scene.call(scene.stream.leave, partition, partition.subscriptions[-1], None)
        count = len(partition.subscriptions)
        scene.call(partition.join)
        await scene.until(lambda count=count: len(partition.subscriptions) > count)
    scene.simulation.fabric.break_connections("leader", "follower")
    await scene.until(lambda: len(partition.subscriptions) == 5)
    assert len(set(partition.subscriptions)) == 5


@scene
async def test_a_partition_that_cannot_start_holds_nobody_up(scene: Scene) -> None:
    hopeless = Partition(scene.stream)
    hopeless.may_start = False
    scene.call(hopeless.join)
    await scene.followed()
    assert len(scene.stream) == 1


@scene
async def test_silence_of_a_second_breaks_a_stream(scene: Scene) -> None:
    partition = await scene.followed()
    scene.leader.is_mute = True
    await scene.until(lambda: partition.losses == 1, within_s=1.5)


@scene
async def test_a_leader_that_refuses_is_tried_ten_times_a_second_at_most(scene: Scene) -> None:
    partition = await scene.followed()
    scene.leader.refusal = RpcError(Status.FAILED_PRECONDITION, "another broker")
    scene.simulation.fabric.break_connections("leader", "follower")
    await scene.until(lambda: partition.losses == 1)
    before = scene.leader.hellos
    await scene.sleep(10.0)
    assert 40 <= scene.leader.hellos - before <= 110
    scene.leader.refusal = None
    await scene.until(lambda: scene.leader.streams == 1, within_s=0.5)


@scene
async def test_a_leader_that_stops_is_left_and_looked_for_again(scene: Scene) -> None:
    partition = await scene.followed()
    closing = Closing(error=Error(code=SHUTTING_DOWN, message="it stops"))
    await scene.leader.say(ReplicateResponse(closing=closing))
    await scene.until(lambda: partition.losses == 1 and len(partition.subscriptions) == 2)


@scene
async def test_a_broker_that_was_registered_anew_says_so_when_its_epoch_is_refused(scene: Scene) -> None:
    partition = await scene.followed()
    stale = ReplicaPush(subscription=1, end=FollowEnd(error=Error(code=STALE_BROKER_EPOCH)))
    await scene.leader.say(ReplicateResponse(pushes=[stale]))
    await scene.sleep(0.5)
    assert scene.leader.hellos == 1, "the leader's image may be behind"
    scene.hello = FollowerHello(broker_id=2, broker_epoch=8)
    await scene.leader.say(ReplicateResponse(pushes=[stale]))
    await scene.until(lambda: partition.losses == 1 and scene.leader.hellos == 2)


@scene
async def test_a_stream_on_which_nothing_is_followed_is_closed_and_opened_again(scene: Scene) -> None:
    partition = await scene.followed()
    scene.call(scene.stream.leave, partition, partition.subscriptions[0], None)
    await scene.sleep(5.0)
    assert scene.leader.streams == 1
    await scene.until(lambda: scene.leader.streams == 0, within_s=10.0)
    scene.call(partition.join)
    await scene.until(lambda: len(partition.subscriptions) == 2, within_s=0.1)


@scene
async def test_what_was_to_be_said_is_said_before_a_stream_is_ended(scene: Scene) -> None:
    partition = await scene.followed()
    scene.call(scene.stream.moved, partition)
    await scene.follower.spawn(scene.stream.stop())
    assert [len(request.acks) for request in scene.leader.said[-1:]] == [1]
    await scene.until(lambda: scene.leader.streams == 0, within_s=0.1)
    scene.call(partition.join)
    await scene.sleep(1.0)
    assert scene.leader.hellos == 1


@scene
async def test_who_stands_still_itself_goes_on_afterwards(scene: Scene) -> None:
    partition = await scene.followed()
    scene.follower.process.pause()
    await scene.machine.clock.sleep(5.0)
    scene.follower.process.resume()
    await scene.leader.say(ReplicateResponse(pushes=[ReplicaPush(subscription=1)]))
    await scene.until(lambda: bool(partition.pushes) or len(partition.subscriptions) == 2, within_s=0.5)


@scene
async def test_what_was_to_be_said_is_said_on_a_stream_that_followed_on_one_that_its_leader_ended(
    scene: Scene,
) -> None:
    scene.leader.is_tired = True
    partition = Partition(scene.stream)
    scene.call(partition.join)
    await scene.until(lambda: scene.leader.hellos == 1)
    scene.leader.is_tired, scene.leader.takes_s = False, 0.1
    await scene.until(lambda: scene.leader.streams == 1 and bool(partition.subscriptions))
    scene.call(scene.stream.moved, partition)
    await scene.until(lambda: any(request.acks for request in scene.leader.requests))
    scene.call(scene.stream.moved, partition)
    await scene.follower.spawn(scene.stream.stop())
    assert len([request for request in scene.leader.said if request.acks]) == 2


def test_a_stream_that_was_not_needed_any_more_was_not_ended_by_the_leader(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    @scene
    async def play(scene: Scene) -> None:
        partition = await scene.followed()
        scene.call(scene.stream.leave, partition, partition.subscriptions[0], None)
        await scene.until(lambda: scene.leader.streams == 0, within_s=15.0)
        await scene.sleep(1.0)

    play()
    (said,) = [each for each in caplog.messages if "stream to" in each]
    assert "it was not needed any more" in said

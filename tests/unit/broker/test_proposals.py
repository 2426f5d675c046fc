"""How proposals of in-sync sets reach the coordinator: together, one call at a time, and until it is known
what became of them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from streamkeep_broker.replication.coordinator import MAX_PARTITIONS_PER_CALL
from streamkeep_common.errors import NotActiveError
from streamkeep_proto.v1.coordinator_pb2 import AlterPartitionsRequest
from tests.unit.broker.clients import make_batch
from tests.unit.broker.cluster import COORDINATOR, TOPIC, Cluster, replicated
from tests.unit.broker.replication.led import Pending

PARTITIONS = 30


class Calls:
    """Looks at each call before the coordinator gets it."""

    def __init__(self, cluster: Cluster) -> None:
        self.sizes: list[int] = []
        self.under_way = 0
        self.most_under_way = 0
        self.stuck = False
        self._carry_out = cluster.coordinator.alter
        cluster.coordinator.alter = self._take  # type: ignore[method-assign]

    async def _take(self, request: AlterPartitionsRequest, call: Any) -> Any:
        self.sizes.append(len(request.partitions))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.stuck:
                await asyncio.Event().wait()
            return await self._carry_out(request, call)
        finally:
            self.under_way -= 1


def all_in_sync(cluster: Cluster) -> bool:
    topic = cluster.coordinator.image.topic("flights")
    assert topic is not None
    return all(len(partition.isr) == 3 for partition in topic.partitions)


@replicated
async def test_many_partitions_share_few_calls_and_there_is_one_at_a_time(cluster: Cluster) -> None:
    await cluster.start(partitions=PARTITIONS)
    node = cluster.nodes[3]
    node.machine.process.pause()
    cluster.coordinator.fence(3)
    calls = Calls(cluster)
    node.machine.process.resume()
    cluster.coordinator.unfence(3)
    await cluster.until(lambda: all_in_sync(cluster))
    assert sum(calls.sizes) >= PARTITIONS
    assert len(calls.sizes) < PARTITIONS
    assert max(calls.sizes) <= MAX_PARTITIONS_PER_CALL
    assert calls.most_under_way <= 2, "one of each of two leaders"


@replicated
async def test_a_call_that_is_not_answered_is_given_up_and_made_again(cluster: Cluster) -> None:
    await cluster.start()
    node = cluster.followers[0]
    node.kill()
    await cluster.produce(b"a")
    calls = Calls(cluster)
    calls.stuck = True
    await node.start()
    await cluster.until(lambda: len(calls.sizes) == 2, within_s=3)
    calls.stuck = False
    await cluster.in_sync()


@replicated
async def test_while_it_is_not_known_who_is_in_sync_nothing_is_acknowledged_without_the_candidate(
    cluster: Cluster,
) -> None:
    """The proposal may have been carried out: then the candidate may be elected, and must have it."""
    await cluster.start(min_insync_replicas="1")
    node = cluster.followers[0]
    node.kill()
    await cluster.produce(b"a")
    cluster.coordinator.holds.clear()
    await node.start()
    await cluster.until(lambda: bool(cluster.coordinator.proposals))
    cluster.simulation.fabric.cut_both(f"broker{node.id}", f"broker{cluster.leader.id}")
    writing = cluster.client.spawn(cluster.produce(b"b"))
    await cluster.client.clock.sleep(2)
    assert not writing.done()
    cluster.coordinator.fence(node.id)
    cluster.coordinator.holds.set()
    await cluster.until(writing.done, within_s=2)


@replicated
async def test_what_a_coordinator_that_stepped_down_refused_is_proposed_to_the_next(cluster: Cluster) -> None:
    await cluster.start()
    node = cluster.followers[0]
    node.kill()
    await cluster.produce(b"a")
    cluster.coordinator.refuses = NotActiveError("not me")
    await node.start()
    await cluster.until(lambda: len(cluster.coordinator.proposals) > 2)
    await cluster.coordinator.stop()
    cluster.coordinator.refuses = None
    await cluster.client.clock.sleep(1)
    await cluster.coordinator.start(COORDINATOR)
    await cluster.in_sync()


@replicated
async def test_while_no_coordinator_answers_it_is_still_looked_at_who_is_caught_up(cluster: Cluster) -> None:
    """Else whoever has all of a partition that is seldom written would seem to lag at its next record."""
    await cluster.start(partitions=4)
    node = cluster.leader
    calls = Calls(cluster)
    calls.stuck = True
    seldom_written = node.broker.partitions.find(TOPIC, 3)
    assert seldom_written.leadership is not None
    cluster.coordinator.stand(cluster.image, isr=(1, 2))
    await cluster.client.clock.sleep(8)
    assert len(calls.sizes) > 2
    batch = make_batch([b"a"])
    node.machine.process.call(
        partial(seldom_written.append, batch, batch.records, leader_epoch=0, pending=Pending())
    )
    assert seldom_written.leadership.wanted_isr(node.machine.clock.monotonic()) is None
    calls.stuck = False
    await cluster.in_sync()

"""What there is to tell of a replica that was lost or is corrupt, as its partition gets a leader again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

from google.protobuf.message import Message

from streamkeep_broker.replication.coordinator import ActiveCoordinator
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.reports import ReplicaReports
from streamkeep_common.image import PartitionImage
from streamkeep_common.seams import Clock
from streamkeep_proto.v1.coordinator_pb2 import (
    ReplicaReport,
    ReportedReplica,
    ReportReplicasRequest,
    ReportReplicasResponse,
)
from tests.sim.simulation import Simulation, run_simulation

OWN = 1


def image(
    *, leader: int, isr: tuple[int, ...] = (), elr: tuple[int, ...] = (), last: tuple[int, ...] = ()
) -> PartitionImage:
    return PartitionImage(
        topic_id=bytes(16),
        partition=0,
        replicas=(1, 2, 3),
        leader=leader,
        leader_epoch=4,
        partition_epoch=5,
        directory_ids=(bytes(16),) * 3,
        isr=isr,
        elr=elr,
        last_members=last,
    )


ELIGIBLE = image(leader=0, elr=(1,))
WAITS = image(leader=0, last=(1, 3))
ALONE = image(leader=OWN, isr=(1,))
JOINED = image(leader=OWN, isr=(1, 2))


class Coordinator:
    """Hears every report, and lets nobody copy anew unless `others_have_it`."""

    broker_epoch = 1
    is_open = True

    def __init__(self, *, others_have_it: bool) -> None:
        self.heard: list[ReplicaReport] = []
        self._others_have_it = others_have_it

    async def call(self, _method: object, request: Message, *, timeout_s: float) -> ReportReplicasResponse:
        assert isinstance(request, ReportReplicasRequest) and timeout_s
        self.heard += request.replicas
        return ReportReplicasResponse(
            outcomes=[
                ReportedReplica(
                    topic_id=each.topic_id,
                    partition=each.partition,
                    may_copy_anew=each.damaged and self._others_have_it,
                )
                for each in request.replicas
            ]
        )


class Replica:
    """What reports see of one."""

    name = "t-0"
    partition_epoch = 5
    log = SimpleNamespace(
        topic_id=bytes(16),
        partition=0,
        log_end_offset=0,
        defects=(),
        leader_epochs=SimpleNamespace(at=lambda _offset: 0),
    )


def told_at_last(
    images: Sequence[PartitionImage], *, corrupt: bool = False, others_have_it: bool = False
) -> bool:
    """Whether a coordinator that became active after these images, each heard of, is told of damage."""

    async def story(simulation: Simulation) -> bool:
        coordinator, partition = Coordinator(others_have_it=others_have_it), cast(Partition, Replica())
        reports = ReplicaReports(
            broker_id=OWN,
            coordinator=cast(ActiveCoordinator, coordinator),
            clock=cast(Clock, simulation.machine("broker").clock),
            rng=random.Random(1),
            on_may_copy_anew=lambda _: None,
            on_heard=lambda: None,
        )
        failures: list[Exception] = []
        reports.start(failures.append)
        (reports.damaged if corrupt else reports.lost)(partition)
        for each in images:
            reports.image_changed(partition, each)
            reports.session_opened()
            await asyncio.sleep(1)
        coordinator.heard.clear()
        reports.session_opened()
        await asyncio.sleep(1)
        await reports.stop()
        assert not failures
        return any(each.damaged for each in coordinator.heard)

    return run_simulation(1, story)


def test_a_lost_replica_that_leads_as_a_last_resort_is_lost_no_more() -> None:
    assert not told_at_last([WAITS, ALONE, JOINED])


def test_a_lost_replica_that_nobody_could_replace_is_lost_no_more_once_it_leads() -> None:
    """What it wrote since would be dropped as soon as somebody has a copy: one copy of two."""
    assert not told_at_last([ELIGIBLE, ALONE, JOINED])


def test_a_lost_replica_that_led_alone_before_anybody_heard_of_the_loss_tells_it() -> None:
    assert told_at_last([])
    assert not told_at_last([ALONE])


def test_a_lost_replica_that_another_one_leads_is_lost_still() -> None:
    assert told_at_last([WAITS, image(leader=3, isr=(3,), elr=(1,))])


def test_a_lost_replica_that_was_elected_while_others_were_in_sync_is_lost_still() -> None:
    assert told_at_last([JOINED], others_have_it=True)


def test_a_corrupt_replica_that_leads_alone_is_corrupt_still() -> None:
    assert told_at_last([WAITS, ALONE, JOINED], corrupt=True)
    assert told_at_last([ELIGIBLE, ALONE, JOINED], corrupt=True)

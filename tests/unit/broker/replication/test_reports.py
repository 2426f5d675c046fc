"""What there is to tell of a replica that was lost, as its partition gets a leader again."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import cast

from streamkeep_broker.replication.coordinator import ActiveCoordinator
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.reports import ReplicaReports
from streamkeep_common.image import PartitionImage
from streamkeep_common.seams import Clock
from tests.sim.simulation import Simulation, run_simulation

OWN = 1


def image(*, leader: int, isr: tuple[int, ...] = (), last: tuple[int, ...] = ()) -> PartitionImage:
    return PartitionImage(
        topic_id=bytes(16),
        partition=0,
        replicas=(1, 2, 3),
        leader=leader,
        leader_epoch=4,
        partition_epoch=5,
        directory_ids=(bytes(16),) * 3,
        isr=isr,
        elr=(),
        last_members=last,
    )


class Replica:
    """What reports see of one, as long as nobody is told."""

    def __init__(self, defects: tuple[str, ...]) -> None:
        self.log = SimpleNamespace(defects=defects)


def replica(*, defects: tuple[str, ...] = ()) -> Partition:
    return cast(Partition, Replica(defects))


def still_to_be_told(partition: Partition, *images: PartitionImage) -> bool:
    """Whether a lost replica's loss is, after these images."""

    async def story(simulation: Simulation) -> bool:
        reports = ReplicaReports(
            broker_id=OWN,
            coordinator=cast(ActiveCoordinator, None),
            clock=cast(Clock, simulation.machine("broker").clock),
            rng=random.Random(1),
            on_may_copy_anew=lambda _: None,
            on_heard=lambda: None,
        )
        reports.damaged(partition)
        for each in images:
            reports.image_changed(partition, each)
        return reports.has_unheard_damage

    return run_simulation(1, story)


def test_a_lost_replica_that_leads_as_a_last_resort_is_lost_no_more() -> None:
    waits, leads = image(leader=0, last=(1, 3)), image(leader=OWN, isr=(1,))
    assert not still_to_be_told(replica(), waits, leads)


def test_a_lost_replica_that_another_one_leads_is_lost_still() -> None:
    assert still_to_be_told(replica(), image(leader=0, last=(1, 3)), image(leader=3, isr=(3,)))


def test_a_lost_replica_that_was_elected_while_others_were_in_sync_is_lost_still() -> None:
    assert still_to_be_told(replica(), image(leader=OWN, isr=(1, 2)))


def test_a_corrupt_replica_that_leads_as_a_last_resort_is_corrupt_still() -> None:
    waits, leads = image(leader=0, last=(1, 3)), image(leader=OWN, isr=(1,))
    assert still_to_be_told(replica(defects=("a frame",)), waits, leads)

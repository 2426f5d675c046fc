from __future__ import annotations

import pytest

from streamkeep_common.image import ClusterImage, PartitionImage, Standing, apply
from streamkeep_common.image.records import to_partition_record
from streamkeep_coordinator.metadata.brokers import unfence_broker
from streamkeep_coordinator.metadata.last_resort import LastResort, Winner, elect_winners
from streamkeep_coordinator.metadata.standings import Change, standing_records
from streamkeep_proto.v1.coordinator_pb2 import ReplicaReport
from streamkeep_proto.v1.metadata_pb2 import (
    BrokerRecord,
    MetadataRecord,
    PartitionChangesRecord,
    PartitionStanding,
    SettingRecord,
)
from tests.unit.common.image.records import (
    broker,
    directory_id,
    feature_level,
    fenced,
    topic,
    topic_id,
)
from tests.unit.coordinator.metadata.layout import Layout, directory

T = topic_id(1)
LEVEL_3 = apply(ClusterImage(), [feature_level(3)], 1)[0]


def waiting_image(*, down: tuple[int, ...] = ()) -> ClusterImage:
    """A partition of brokers 1, 2 and 3 that waits for 2 and 3, at partition epoch 2."""
    partition = PartitionImage(
        topic_id=T,
        partition=0,
        replicas=(1, 2, 3),
        directory_ids=tuple(map(directory_id, (1, 2, 3))),
        isr=(),
        elr=(),
        leader=0,
        leader_epoch=4,
        partition_epoch=2,
        last_members=(2, 3),
    )
    records = [feature_level(3), *map(broker, (1, 2, 3))]
    records += [fenced(each, is_fenced=False) for each in (1, 2, 3) if each not in down]
    records += [topic(1), MetadataRecord(partition=to_partition_record(partition))]
    return apply(ClusterImage(), records, 1)[0]


def reach(last_epoch: int, end: int, *, partition_epoch: int = 2) -> ReplicaReport:
    return ReplicaReport(
        topic_id=T, partition_epoch=partition_epoch, last_epoch=last_epoch, log_end_offset=end
    )


def test_all_members_are_waited_for() -> None:
    collected = LastResort()
    collected.hear(3, 1, reach(1, 10))
    assert collected.winners(waiting_image()) == {}
    collected.hear(2, 1, reach(1, 9))
    assert collected.winners(waiting_image()) == {(T, 0): Winner(3, 2)}


@pytest.mark.parametrize(
    ("of_2", "of_3", "winner"),
    [((2, 5), (1, 90), 2), ((2, 5), (2, 6), 3), ((2, 5), (2, 5), 2), ((0, 0), (0, 0), 2)],
)
def test_the_greater_last_epoch_counts_before_the_greater_end(
    of_2: tuple[int, int], of_3: tuple[int, int], winner: int
) -> None:
    collected = LastResort()
    collected.hear(2, 1, reach(*of_2))
    collected.hear(3, 1, reach(*of_3))
    assert collected.winners(waiting_image())[T, 0].broker_id == winner


def test_the_one_with_the_most_is_waited_for_until_it_is_up() -> None:
    collected = LastResort()
    collected.hear(2, 1, reach(1, 9))
    collected.hear(3, 1, reach(1, 10))
    assert collected.winners(waiting_image(down=(3,))) == {}
    assert collected.winners(waiting_image(down=(2,))) == {(T, 0): Winner(3, 2)}


def test_a_member_without_its_directory_is_not_waited_for() -> None:
    image, _ = apply(waiting_image(), [without_directory(3)], 2)
    collected = LastResort()
    collected.hear(2, 1, reach(1, 9))
    assert collected.winners(image) == {(T, 0): Winner(2, 2)}
    image, _ = apply(image, [without_directory(2)], 3)
    assert collected.winners(image) == {}


def without_directory(broker_id: int) -> MetadataRecord:
    record = broker(broker_id)
    record.broker.directory_ids[0] = b"another---------"
    return record


def test_a_report_of_an_earlier_start_of_the_broker_does_not_count() -> None:
    collected = LastResort()
    collected.hear(2, 1, reach(1, 9))
    collected.hear(3, 1, reach(1, 10))
    image, _ = apply(waiting_image(), [broker(3, 2), fenced(3, 2, is_fenced=False)], 2)
    assert collected.winners(image) == {}
    collected.hear(3, 2, reach(1, 8))
    assert collected.winners(image) == {(T, 0): Winner(2, 2)}


def test_reports_hold_at_one_partition_epoch_only() -> None:
    collected = LastResort()
    collected.hear(2, 1, reach(1, 9))
    collected.hear(3, 1, reach(1, 10, partition_epoch=3))
    collected.hear(2, 1, reach(1, 9))
    assert collected.winners(waiting_image()) == {}
    assert collected.is_waiting, "the image may be behind what was heard"
    collected.hear(2, 1, reach(1, 9, partition_epoch=3))
    later, _ = apply(waiting_image(), [standing(3, Standing((), (), 0, (2, 3)))], 2)
    assert collected.winners(later) == {(T, 0): Winner(3, 3)}
    led, _ = apply(later, [standing(4, Standing((2,), (), 2))], 3)
    assert collected.winners(led) == {}
    assert not collected.is_waiting


def standing(partition_epoch: int, standing: Standing) -> MetadataRecord:
    return MetadataRecord(
        partition_changes=PartitionChangesRecord(
            topic_id=T,
            partitions=[0],
            standing_indexes=[0],
            leader_epochs=[5],
            partition_epochs=[partition_epoch],
            standings=[PartitionStanding(**standing._asdict())],
        )
    )


def test_a_partition_that_has_changed_meanwhile_is_left_alone() -> None:
    image = waiting_image()
    for winners in ({(T, 0): Winner(3, 1)}, {(T, 7): Winner(3, 2)}):
        assert elect_winners(image, winners).records == ()
    assert elect_winners(waiting_image(down=(3,)), {(T, 0): Winner(3, 2)}).records == ()
    decision = elect_winners(image, {(T, 0): Winner(3, 2)})
    assert decision.answer == 1
    after, _ = apply(image, decision.records, 2)
    led = after.partition(T, 0)
    assert led is not None
    assert (led.leader, led.isr, led.last_members, led.leader_epoch) == (3, (3,), (), 5)


def test_what_an_emptied_broker_gets_back_is_spread_over_its_directories() -> None:
    layout = Layout(2)
    layout.topic("t", *[(1, 2)] * 4)
    layout.fence(1)
    registration = BrokerRecord()
    registration.CopyFrom(layout.image.brokers[1].registration)
    registration.directory_ids[:] = [directory(1, 8), directory(1, 9)]
    waits = Standing((), (), 0, (1, 2))
    layout.write(
        MetadataRecord(broker=registration),
        *(standing_of(layout.partition(number=number), waits) for number in range(4)),
    )
    topic_id = layout.partition().topic_id
    winners = {(topic_id, number): Winner(2, 2) for number in range(4)}
    assert layout.commit(elect_winners(layout.image, winners)) == 4
    places = [layout.partition(number=number).directory_ids[0] for number in range(4)]
    assert sorted(places) == [directory(1, 8)] * 2 + [directory(1, 9)] * 2


def standing_of(partition: PartitionImage, standing: Standing) -> MetadataRecord:
    return next(iter(standing_records(LEVEL_3, partition.topic_id, [Change(partition, standing)])))


def test_a_replica_on_a_lost_disk_is_copied_anew_from_whoever_leads_by_consent() -> None:
    """The topic would rather lose records than wait, and its broker's session had nobody to copy from."""
    layout = Layout(2)
    layout.topic("t", (1, 2), min_isr=1)
    topic_id = layout.partition().topic_id
    layout.write(
        MetadataRecord(setting=SettingRecord(topic_id=topic_id, name="unclean_leader_election", value="on"))
    )
    layout.fence(2)
    registration = BrokerRecord()
    registration.CopyFrom(layout.image.brokers[1].registration)
    registration.directory_ids[:] = [directory(1, 9)]
    layout.write(
        standing_of(layout.partition(), Standing((), (), 0, (1,))), MetadataRecord(broker=registration)
    )
    layout.commit(unfence_broker(layout.image, 2, 1))
    led = layout.partition()
    assert (led.leader, led.isr, led.last_members) == (2, (2,), ())
    assert led.directory_ids == (directory(1, 9), directory(2))
    assert led.leader_epoch == 3

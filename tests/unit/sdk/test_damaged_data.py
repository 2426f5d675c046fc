"""What stands behind a damaged batch is not handed out before the application has heard of the damage."""

from __future__ import annotations

import asyncio

import pytest

from streamkeep import Consumer, Producer
from streamkeep.errors import CorruptDataError
from streamkeep_common.records.frame import batch_to_frame, produced_values, records_crc
from streamkeep_proto.v1.records_pb2 import LogSegment, RecordBatch
from tests.unit.sdk.fake_partition import FakePartition
from tests.unit.sdk.world import World, in_world

BATCHES = 30
DAMAGED = 10


def change(log: FakePartition, *, records: bytes, in_agreement: bool) -> None:
    """Other records in the damaged batch, with a checksum of theirs or the old one."""
    (batch,) = LogSegment.FromString(log.frames[DAMAGED]).batches
    changed = RecordBatch()
    changed.CopyFrom(batch)
    changed.records = records
    if in_agreement:
        changed.records_crc32c = records_crc(produced_values(changed), records)
    log.frames[DAMAGED] = batch_to_frame(changed)


@pytest.mark.parametrize("in_agreement", [False, True], ids=["wrong checksum", "cannot be opened"])
def test_nothing_behind_damage_is_handed_out_however_much_was_on_its_way(*, in_agreement: bool) -> None:
    async def story(world: World) -> None:
        world.cluster.max_slice_bytes = 1
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            async with Producer(client) as producer:
                for number in range(BATCHES):
                    await (await producer.send("t", b"%05d" % number))
            change(log, records=b"\x12\x05what?\x12", in_agreement=in_agreement)
            await consumer.assign([("t", 0)])
            values = [(await anext(consumer)).value for _ in range(DAMAGED)]
            assert values == [b"%05d" % number for number in range(DAMAGED)]
            for _ in range(2):
                with pytest.raises(CorruptDataError, match="t-0 at offset 10"):
                    await anext(consumer)
                await world.sleep(1)
            await consumer.seek(("t", 0), DAMAGED + 1)
            rest = [(await anext(consumer)).value for _ in range(DAMAGED + 1, BATCHES)]
            assert rest == [b"%05d" % number for number in range(DAMAGED + 1, BATCHES)]

    in_world(story)


def test_damage_that_is_mended_while_the_reader_asks_again_is_not_heard_of() -> None:
    """The broker finds out that its replica is damaged, and another one leads."""

    async def story(world: World) -> None:
        (log,) = world.cluster.create_topic("t")
        async with world.client() as client, Consumer(client) as consumer:
            async with Producer(client) as producer:
                for number in range(BATCHES):
                    await (await producer.send("t", b"%05d" % number))
            whole = log.frames[DAMAGED]
            change(log, records=b"\x12\x05what?", in_agreement=False)
            await consumer.assign([("t", 0)])
            for number in range(DAMAGED):
                assert (await anext(consumer)).value == b"%05d" % number
            reading = asyncio.ensure_future(anext(consumer))
            await world.sleep(0.3)
            assert not reading.done()
            log.frames[DAMAGED] = whole
            assert (await reading).value == b"%05d" % DAMAGED

    in_world(story)

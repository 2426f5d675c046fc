"""When a damaged replica is put aside, and that it is done once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.replication.renewals import Renewals
from streamkeep_common.seams import Clock
from tests.unit.broker.replication.led import image

IMAGE = image(leader=2, isr=(2, 3))
KEY = (IMAGE.topic_id, IMAGE.partition)


class Logs:
    """One log, which is put aside when the test says so."""

    def __init__(self) -> None:
        self.log = cast(PartitionLog, SimpleNamespace(name="t-0", key=KEY))
        self.may_go_on = asyncio.Event()

    def get(self, _topic_id: bytes, _partition: int) -> PartitionLog:
        return self.log

    def directory_of(self, _log: PartitionLog) -> SimpleNamespace:
        return SimpleNamespace(is_offline=False)

    async def quarantine(self, _log: PartitionLog) -> None:
        await self.may_go_on.wait()


async def test_an_answer_that_comes_while_a_replica_is_put_aside_does_not_put_it_aside_again() -> None:
    logs, ended = Logs(), asyncio.Event()
    renewals = Renewals(
        cast(LogManager, logs),
        clock=cast(Clock, None),
        broker_id=1,
        on_renewed=lambda key: None,
        on_end=lambda key: ended.set(),
        on_failure=lambda error: None,
    )
    renewals.allow(KEY)
    assert renewals.is_due(IMAGE)
    renewals.begin(logs.log)
    assert renewals.is_busy(KEY)
    renewals.allow(KEY)
    logs.may_go_on.set()
    await ended.wait()
    assert not renewals.is_due(IMAGE)
    renewals.allow(KEY)
    assert renewals.is_due(IMAGE), "it is damaged again"

from __future__ import annotations

import asyncio

from streamkeep_coordinator.services.describe import PARTITIONS_IN_ONE_GO, collect


async def test_a_large_answer_is_made_while_other_work_goes_on() -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(work())
    partitions = [PARTITIONS_IN_ONE_GO // 2] * 20
    assert await collect(iter(partitions), lambda each: each) == partitions
    task.cancel()
    assert turns >= 9

"""How many metadata commands are committed and how many linearizable reads answered a second.

    python -m tests.bench.metadata_rate [SECONDS]

Three coordinators as real processes on one machine, each with its own write-ahead log; a command is answered
when a majority has it on disk (fsync). 32 clients that wait for each answer, in one process of their own;
reads (DescribeTopics of one topic, by ReadIndex) go to all three coordinators. Beside the rate stands the
processor time of an operation, which other work on the machine changes less: of the active coordinator, of a
follower, and of the clients. Exit code 1 under a bound.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from streamkeep import Admin
from streamkeep_common.methods import ALTER_TOPIC_SETTINGS, DESCRIBE_TOPICS
from streamkeep_common.seams import Channel
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_proto.v1.coordinator_pb2 import (
    AlterTopicSettings,
    AlterTopicSettingsRequest,
    DescribeTopicsRequest,
    NewTopic,
)
from tests.acceptance.quorum.status import active_id, all_well, quorum_when
from tests.integration.cluster import Cluster

CLIENTS = 32
TOPICS = 100
WRITES_PER_S = 300
READS_PER_S = 1500


def cpu_s(pid: int) -> float:
    """Processor time of that process since it started."""
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


async def operations(seconds: float, operate: Callable[[int], Awaitable[None]]) -> int:
    """How many of them all clients together do, each one after the other."""
    done = 0
    until = time.perf_counter() + seconds

    async def client(number: int) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await operate(number)
            done += 1

    await asyncio.gather(*map(client, range(CLIENTS)))
    return done


async def measured(
    what: str, operate: Callable[[int], Awaitable[None]], bound: int, *, seconds: float, pids: Sequence[int]
) -> float:
    """Print and return how many a second; `pids` are the active one's, two followers', and the clients'."""
    await operations(1, operate)
    before = [cpu_s(pid) for pid in pids]
    done = await operations(seconds, operate)
    cost = [1000 * (cpu_s(pid) - start) / done for pid, start in zip(pids, before, strict=True)]
    print(f"{what:<42} {done / seconds:8.0f} /s   (bound {bound})")
    print(
        f"  ms of processor each: active {cost[0]:.2f}, followers {cost[1]:.2f} and {cost[2]:.2f}, "
        f"clients {cost[3]:.2f}",
        flush=True,
    )
    return done / seconds


async def run(folder: Path, seconds: float) -> bool:
    numbers = itertools.count(1)
    async with (
        Cluster(folder, coordinators=3, brokers=1) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await quorum_when(admin, all_well(3))
        await admin.create_topics([NewTopic(name=f"t{number}", partitions=1) for number in range(TOPICS)])
        network = GrpcNetwork()
        channels: dict[int, list[Channel]] = {
            coordinator: [network.dial(cluster.coordinator_address(coordinator)) for _ in range(4)]
            for coordinator in cluster.coordinators
        }
        active = await active_id(admin)

        async def write(client: int) -> None:
            change = AlterTopicSettings(name=f"t{client}", set={"retention_ms": str(1_000 + next(numbers))})
            request = AlterTopicSettingsRequest(topics=[change])
            answer = await channels[active][client % 4].call(ALTER_TOPIC_SETTINGS, request, timeout_s=10)
            assert not answer.error.code, answer.error
            assert not answer.outcomes[0].error.code, answer.outcomes[0].error

        async def read(client: int) -> None:
            channel = channels[client % 3 + 1][client % 4]
            answer = await channel.call(
                DESCRIBE_TOPICS, DescribeTopicsRequest(names=[f"t{client}"]), timeout_s=10
            )
            assert not answer.error.code, answer.error

        followers = [server.pid for number, server in cluster.coordinators.items() if number != active]
        pids = [cluster.coordinators[active].pid, *followers, os.getpid()]
        well = True
        for what, operate, bound in (
            ("committed commands, fsync on a majority", write, WRITES_PER_S),
            ("linearizable reads at all three", read, READS_PER_S),
        ):
            well &= await measured(what, operate, bound, seconds=seconds, pids=pids) >= bound
        for channel in itertools.chain.from_iterable(channels.values()):
            await channel.close()
        return well


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with tempfile.TemporaryDirectory(prefix="streamkeep-rate-") as folder:
        return 0 if asyncio.run(run(Path(folder), seconds)) else 1


if __name__ == "__main__":
    sys.exit(main())

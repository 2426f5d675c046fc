"""What the servers take: idle, with 2,000 partitions, under 200 clients that send as fast as they can.

    python -m tests.acceptance.memory

Prints sizes in MiB beside their bounds; exit code 1 if one is passed. Of a whole cluster it is what all of
them take together, pages that they share counted once (PSS); of one process what is resident. The flooding
clients never read an answer, so that both promises are tried at once: what is under way is bounded for each
connection and for the broker.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from streamkeep import Admin, Producer
from streamkeep_common.methods import INIT_PRODUCER, PRODUCE
from streamkeep_common.records import encode_batch
from streamkeep_common.seams import RpcError
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_proto.v1.broker_pb2 import InitProducerRequest, PartitionBatch, ProduceRequest
from tests.bench.peers.streamkeep import Streamkeep

NODES, CLUSTER_MIB = 3, 230
IDLE_MIB = 55
PARTITIONS, PARTITIONS_MIB = 2_000, 150
CLIENTS, FLOOD_MIB = 200, 768
FLOOD_S = 10.0
BATCH_VALUES: list[bytes | None] = [b"x" * 1000] * 250


def resident_mib(pid: int, field: str = "VmRSS") -> float:
    return _size_mib(pid, "status", field)


def shared_once_mib(pids: Iterable[int]) -> float:
    """The proportional set sizes of these processes, together."""
    return sum(_size_mib(pid, "smaps_rollup", "Pss:") for pid in pids)


def _size_mib(pid: int, file: str, field: str) -> float:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {field} for process {pid}")


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def write_once(bootstrap: str) -> None:
    """One record to each of 2,000 partitions."""
    async with Admin(bootstrap) as admin:
        await admin.create_topic("wide", partitions=PARTITIONS)
    async with Producer(bootstrap) as producer:
        for partition in range(PARTITIONS):
            await producer.send("wide", b"x" * 100, partition=partition)
        await producer.flush()


async def flood_once(network: GrpcNetwork, broker: str, topic_id: bytes) -> int:
    """Send without ever reading an answer, until the broker takes no more for a second or time is over."""
    channel = network.dial(broker)
    answer = await channel.call(INIT_PRODUCER, InitProducerRequest(), timeout_s=30)
    stream = channel.open(PRODUCE)
    sent = 0
    try:
        async with asyncio.timeout(FLOOD_S):
            while True:
                batch = encode_batch(
                    values=BATCH_VALUES,
                    timestamps_ms=1_700_000_000_000,
                    producer_id=answer.producer_id,
                    producer_epoch=0,
                    base_sequence=sent * len(BATCH_VALUES),
                )
                request = ProduceRequest(
                    request_id=sent + 1, batches=[PartitionBatch(topic_id=topic_id, batch=batch)]
                )
                await stream.send(request)
                sent += 1
    except (TimeoutError, RpcError):
        stream.cancel()
    await channel.close()
    return sent


async def flood(bootstrap: str) -> int:
    async with Admin(bootstrap) as admin:
        await admin.create_topic("flood", partitions=1)
        topic = await admin.describe_topic("flood")
        cluster = await admin.describe_cluster()
    network = GrpcNetwork()
    address = cluster.brokers[0].address
    return sum(await asyncio.gather(*(flood_once(network, address, topic.topic_id) for _ in range(CLIENTS))))


def verdict(what: str, mib: float, bound_mib: int) -> bool:
    print(
        f"{what:58}{mib:>6.0f} MiB   bound {bound_mib}{'' if mib <= bound_mib else '   MISSED'}", flush=True
    )
    return mib <= bound_mib


def run(cluster: Streamkeep) -> bool:
    coordinator, broker = cluster.pids()
    held = verdict("idle coordinator", resident_mib(coordinator), IDLE_MIB)
    held &= verdict("idle broker", resident_mib(broker), IDLE_MIB)
    asyncio.run(write_once(cluster.bootstrap))
    held &= verdict(
        f"broker with {PARTITIONS:,} partitions written once", resident_mib(broker), PARTITIONS_MIB
    )
    reset_peak(broker)
    sent = asyncio.run(flood(cluster.bootstrap))
    peak = resident_mib(broker, "VmHWM")
    return held & verdict(f"peak under {CLIENTS} clients ({sent:,} batches of 250 KB taken)", peak, FLOOD_MIB)


def run_idle(cluster: Streamkeep) -> bool:
    async def until_ready() -> None:
        async with Admin(cluster.bootstrap) as admin:
            await admin.create_topic("t", partitions=6)

    asyncio.run(until_ready())
    what = f"idle cluster of {NODES} coordinators and {NODES} brokers, PSS"
    return verdict(what, shared_once_mib(cluster.pids()), CLUSTER_MIB)


def main() -> int:
    held = True
    for nodes, measured in ((NODES, run_idle), (1, run)):
        with tempfile.TemporaryDirectory(prefix="streamkeep-memory-") as folder:
            cluster = Streamkeep(Path(folder), nodes)
            cluster.start()
            try:
                held &= measured(cluster)
            finally:
                cluster.stop()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

"""Is the metadata linearizable while coordinators are killed, stopped and cut off from each other?

    python -m tests.acceptance.quorum.history [MINUTES] [SEED]

32 clients create, delete and describe topics at random coordinators, one attempt each (no SDK, no retry), and
write down what they were told and when; what may have happened counts as unknown. Meanwhile a coordinator is
killed and started again, stopped and woken, or cut off (proxies in front of each). The history is judged
name by name by `tests/sim/linearizability.py`. Names change every few seconds, so that each search stays
small. Exit code 1 if it is not linearizable, if the broker was ever fenced, or if too little happened for the
verdict to mean anything.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from streamkeep import Admin
from streamkeep_common.methods import CREATE_TOPICS, DELETE_TOPICS, DESCRIBE_TOPICS
from streamkeep_common.seams import Channel, RpcError
from streamkeep_common.seams.real.network import GrpcNetwork
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.coordinator_pb2 import (
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DescribeTopicsRequest,
    NewTopic,
    TopicInfo,
    TopicOutcome,
)
from streamkeep_proto.v1.errors_pb2 import Error
from tests.acceptance.quorum.status import all_well, quorum_when
from tests.integration.cluster import Cluster
from tests.integration.links import Links
from tests.sim.linearizability import Kind, Operation, Outcome, check

COORDINATORS = 3
CLIENTS = 32
NAMES = 24
NAMES_LAST_S = 3.0
CALL_TIMEOUT_S = 3.0
PAUSE_S = 0.05

NOT_DONE = (errors_pb2.NOT_ACTIVE, errors_pb2.NOT_INITIALIZED)
"""A write answered so was never begun."""

_REFUSALS: dict[Kind, int] = {"create": errors_pb2.TOPIC_EXISTS, "delete": errors_pb2.UNKNOWN_TOPIC}


class Client:
    """One caller; what it saw goes into `history`, what it learned of the active one stays with it."""

    def __init__(self, number: int, cluster: Cluster, history: list[Operation], rng: random.Random) -> None:
        self._who = f"client-{number}"
        self._history = history
        self._rng = rng
        network = GrpcNetwork()
        self._addresses = [cluster.coordinator_address(each) for each in cluster.coordinators]
        self._channels: dict[str, Channel] = {each: network.dial(each) for each in self._addresses}
        self._favourite = rng.choice(self._addresses)
        self.without_broker = 0
        """Creates that were refused because no broker was live."""

    async def run(self, until_s: float) -> None:
        while time.perf_counter() < until_s:
            key = f"t-{int(time.perf_counter() / NAMES_LAST_S)}-{self._rng.randrange(NAMES)}"
            kind: Kind = self._rng.choice(("create", "delete", "exists"))
            await self._operate(kind, key)
            await asyncio.sleep(self._rng.random() * PAUSE_S)
        for channel in self._channels.values():
            await channel.close()

    async def _operate(self, kind: Kind, key: str) -> None:
        address = self._favourite
        if kind == "exists":
            address = self._rng.choice(self._addresses)
        topic_id = self._rng.randbytes(16)
        start = time.perf_counter()
        try:
            outcome, value = await self._ask(kind, key, topic_id, address)
        except RpcError:
            self._favourite = self._rng.choice(self._addresses)
            outcome, value = Outcome.UNKNOWN, topic_id if kind == "create" else b""
        if outcome is None or (kind == "exists" and outcome is Outcome.UNKNOWN):
            return
        end = None if outcome is Outcome.UNKNOWN else time.perf_counter()
        self._history.append(Operation(kind, key, start, end, outcome, value, self._who))

    async def _ask(self, kind: Kind, key: str, topic_id: bytes, address: str) -> tuple[Outcome | None, bytes]:
        """None if it surely did not happen."""
        channel = self._channels[address]
        if kind == "exists":
            looked = await channel.call(
                DESCRIBE_TOPICS, DescribeTopicsRequest(names=[key]), timeout_s=CALL_TIMEOUT_S
            )
            return (None, b"") if looked.error.code else _seen(looked.topics[0])
        if kind == "create":
            topic = NewTopic(name=key, partitions=1, replication_factor=1, topic_id=topic_id)
            created = await channel.call(
                CREATE_TOPICS, CreateTopicsRequest(topics=[topic]), timeout_s=CALL_TIMEOUT_S
            )
            return self._changed(kind, created.error, list(created.outcomes), topic_id)
        deleted = await channel.call(
            DELETE_TOPICS, DeleteTopicsRequest(names=[key]), timeout_s=CALL_TIMEOUT_S
        )
        return self._changed(kind, deleted.error, list(deleted.outcomes), b"")

    def _changed(
        self, kind: Kind, error: Error, outcomes: list[TopicOutcome], topic_id: bytes
    ) -> tuple[Outcome | None, bytes]:
        if error.code:
            self._favourite = (
                error.active_address
                if error.active_address in self._channels
                else self._rng.choice(self._addresses)
            )
            return (None if error.code in NOT_DONE else Outcome.UNKNOWN), topic_id
        (outcome,) = outcomes
        if not outcome.error.code:
            return Outcome.DONE, outcome.topic_id
        if outcome.error.code == errors_pb2.INVALID_REPLICATION_FACTOR:
            self.without_broker += 1
            return None, b""
        assert outcome.error.code == _REFUSALS[kind], outcome.error
        return Outcome.REFUSED, b""


def _seen(topic: TopicInfo) -> tuple[Outcome, bytes]:
    if topic.error.code == errors_pb2.UNKNOWN_TOPIC:
        return Outcome.ABSENT, b""
    assert not topic.error.code, topic.error
    return Outcome.PRESENT, topic.topic_id


class Nemesis:
    """Kills, stops and cuts off, one fault at a time, a moment of calm in between."""

    def __init__(self, cluster: Cluster, links: Links, admin: Admin, rng: random.Random) -> None:
        self._cluster = cluster
        self._links = links
        self._admin = admin
        self._rng = rng
        self.faults: Counter[str] = Counter()

    async def run(self, until_s: float) -> None:
        faults = [self._kill, self._stop, self._isolate, self._split, self._one_way]
        while time.perf_counter() < until_s:
            fault = self._rng.choice(faults)
            self.faults[fault.__name__.strip("_")] += 1
            await fault(await self._victim(), 0.3 + self._rng.random() * 4)
            await asyncio.sleep(self._rng.random() * 2)

    async def _victim(self) -> int:
        """Mostly the active one."""
        described = await quorum_when(self._admin, lambda quorum: True)
        if described.active_id and self._rng.random() < 0.7:
            return described.active_id
        return self._rng.randint(1, COORDINATORS)

    async def _kill(self, victim: int, seconds: float) -> None:
        server = self._cluster.coordinators[victim]
        await server.kill()
        await asyncio.sleep(seconds)
        await self._cluster.start(server)

    async def _stop(self, victim: int, seconds: float) -> None:
        server = self._cluster.coordinators[victim]
        server.pause()
        await asyncio.sleep(seconds)
        server.resume()

    async def _isolate(self, victim: int, seconds: float) -> None:
        """From the other coordinators; clients still reach it."""
        for other in self._cluster.coordinators:
            if other != victim:
                self._links.cut(f"coordinator-{victim}", f"coordinator-{other}")
        await self._healed(seconds)

    async def _split(self, victim: int, seconds: float) -> None:
        """One link between two coordinators."""
        other = self._rng.choice([each for each in self._cluster.coordinators if each != victim])
        self._links.cut(f"coordinator-{victim}", f"coordinator-{other}")
        await self._healed(seconds)

    async def _one_way(self, victim: int, seconds: float) -> None:
        """What it says reaches nobody; it hears all."""
        for other in self._cluster.coordinators:
            if other != victim:
                self._links.cut_one_way(f"coordinator-{victim}", f"coordinator-{other}")
        await self._healed(seconds)

    async def _healed(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._links.heal()


async def run(folder: Path, minutes: float, seed: int) -> bool:
    links = Links()
    history: list[Operation] = []
    rng = random.Random(seed)
    async with (
        Cluster(folder, coordinators=COORDINATORS, brokers=1, links=links) as cluster,
        Admin(cluster.bootstrap, request_timeout_ms=10_000) as admin,
    ):
        await quorum_when(admin, all_well(COORDINATORS))
        until_s = time.perf_counter() + minutes * 60
        nemesis = Nemesis(cluster, links, admin, random.Random(rng.random()))
        clients = [Client(number, cluster, history, random.Random(rng.random())) for number in range(CLIENTS)]
        await asyncio.gather(nemesis.run(until_s), *(client.run(until_s) for client in clients))
        described = await quorum_when(admin, all_well(COORDINATORS))
    outcomes = Counter(f"{each.kind} {each.outcome.value}" for each in history)
    print(f"{len(history)} operations in {minutes:g} min, seed {seed}, now in term {described.term}")
    print("  ".join(f"{name}: {count}" for name, count in sorted(outcomes.items())))
    print("faults: " + "  ".join(f"{name}: {count}" for name, count in sorted(nemesis.faults.items())))
    began = time.perf_counter()
    verdict = check(history)
    names = len({each.key for each in history})
    print(f"judged {names} names in {time.perf_counter() - began:.1f} s: ", end="")
    print("linearizable" if verdict.linearizable else f"NOT linearizable: {verdict.explanation}")
    without_broker = sum(client.without_broker for client in clients)
    if without_broker:
        print(f"the broker, to which nothing was done, was fenced: {without_broker} creates were refused")
    enough = outcomes["create done"] > 100 * minutes and outcomes["exists present"] > 100 * minutes
    if not enough:
        print("too little was done for this to mean anything")
    return verdict.linearizable and enough and not without_broker


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory(prefix="streamkeep-history-") as folder:
        return 0 if asyncio.run(run(Path(folder), minutes, seed)) else 1


if __name__ == "__main__":
    sys.exit(main())

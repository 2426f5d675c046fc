"""What befalls a cluster of real processes while its records are written and read.

One fault after the other, some before the last one has healed inside. Each ends with what it broke mended:
processes run again, links carry, disks work. Which broker: mostly the leader of some partition.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from streamkeep import Admin
from streamkeep.errors import StreamkeepError
from tests.acceptance.replication.clients import TOPIC
from tests.acceptance.replication.status import all_in_sync, topic_when
from tests.integration.cluster import Cluster
from tests.integration.links import CLIENT
from tests.integration.server_process import ServerProcess

LONGEST_S, SHORTEST_S = 8.0, 0.08
CALM_S = 2.5
SESSION_S = 3.0
"""A broker that is not heard of for so long is replaced."""
WELL_AGAIN_S = 120.0

KINDS = (
    "kill",
    "stop",
    "term",
    "cut",
    "alone",
    "behind",
    "full",
    "slow",
    "hang",
    "both",
    "majority",
    "empty",
)

Fault = Callable[[], Awaitable[str]]
"""Carries it out and mends it; says what it was."""


class Nemesis:
    """Goes on until it is told to stop."""

    def __init__(
        self,
        cluster: Cluster,
        admin: Admin,
        rng: random.Random,
        *,
        kinds: Sequence[str],
        tell: Callable[[str], None],
    ) -> None:
        assert cluster.links is not None, "links are to be cut"
        self._cluster = cluster
        self._links = cluster.links
        self._admin = admin
        self._rng = rng
        self._tell = tell
        by_kind: Mapping[str, Fault] = {kind: getattr(self, f"_{kind}") for kind in KINDS}
        self._faults = [(kind, by_kind[kind]) for kind in kinds]
        self.faults: Counter[str] = Counter()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        while self._faults and not self.stopping.is_set():
            self._rng.shuffle(self._faults)  # so that none is left out for long
            for kind, fault in self._faults:
                self._tell(f"{kind}: {await fault()}")
                self.faults[kind] += 1
                await self._calm()
                if self.stopping.is_set():
                    return

    async def _calm(self) -> None:
        try:
            async with asyncio.timeout(self._rng.random() * CALM_S):
                await self.stopping.wait()
        except TimeoutError:
            return

    # --- who, and for how long ---

    async def _broker(self) -> int:
        brokers = list(self._cluster.brokers)
        if self._rng.random() < 0.7:
            try:
                topic = await self._admin.describe_topic(TOPIC)
            except StreamkeepError:
                return self._rng.choice(brokers)
            leader = self._rng.choice(topic.partitions).leader
            return leader or self._rng.choice(brokers)
        return self._rng.choice(brokers)

    async def _active(self) -> int:
        """The active coordinator, or any."""
        try:
            active = (await self._admin.describe_quorum()).active_id
        except StreamkeepError:
            active = 0
        return active or self._rng.choice(list(self._cluster.coordinators))

    async def _server(self) -> ServerProcess:
        if self._rng.random() < 0.7:
            return self._cluster.brokers[await self._broker()]
        return self._cluster.coordinators[await self._active()]

    async def _wait(self) -> str:
        """Short ones as often as long ones."""
        seconds = LONGEST_S * (SHORTEST_S / LONGEST_S) ** self._rng.random()
        await asyncio.sleep(seconds)
        return f"{seconds:.2f} s"

    # --- processes ---

    async def _kill(self) -> str:
        server = await self._server()
        await server.kill()
        lasted = await self._wait()
        await self._cluster.start(server)
        return f"{server.name} for {lasted}"

    async def _term(self) -> str:
        server = await self._server()
        await server.stop()
        await self._cluster.start(server)
        return f"{server.name} started anew"

    async def _stop(self) -> str:
        server = await self._server()
        server.pause()
        lasted = await self._wait()
        server.resume()
        return f"{server.name} for {lasted}"

    async def _behind(self) -> str:
        """All other brokers are stopped, and what they have not heard of goes down with this one."""
        broker = await self._broker()
        others = [server for number, server in self._cluster.brokers.items() if number != broker]
        for server in others:
            server.pause()
        await asyncio.sleep(self._rng.random() * SESSION_S)
        server = self._cluster.brokers[broker]
        await server.kill()
        for other in others:
            other.resume()
        lasted = await self._wait()
        await self._cluster.start(server)
        return f"{server.name} for {lasted}"

    async def _both(self) -> str:
        """The active coordinator and a broker, killed or stopped at once."""
        servers = [
            self._cluster.coordinators[await self._active()],
            self._cluster.brokers[await self._broker()],
        ]
        names = " and ".join(server.name for server in servers)
        if self._rng.random() < 0.3:
            for server in servers:
                server.pause()
            lasted = await self._wait()
            for server in servers:
                server.resume()
            return f"{names} stopped for {lasted}"
        await asyncio.gather(*(server.kill() for server in servers))
        lasted = await self._wait()
        await asyncio.gather(*(self._cluster.start(server) for server in servers))
        return f"{names} killed for {lasted}"

    async def _majority(self) -> str:
        """All brokers but one, or all of them; they come back in any order."""
        brokers = list(self._cluster.brokers)
        victims = self._rng.sample(brokers, self._rng.choice((len(brokers) // 2 + 1, len(brokers))))
        await asyncio.gather(*(self._cluster.brokers[each].kill() for each in victims))
        lasted = await self._wait()
        self._rng.shuffle(victims)
        for each in victims:
            await self._cluster.start(self._cluster.brokers[each])
            await asyncio.sleep(self._rng.choice((0.0, 0.5)))
        return f"brokers {victims} for {lasted}"

    async def _empty(self) -> str:
        """A broker loses its disk and comes back under its old id. The others must have everything."""
        await topic_when(self._admin, TOPIC, all_in_sync, within_s=WELL_AGAIN_S)
        broker = await self._broker()
        server = self._cluster.brokers[broker]
        await server.kill()
        shutil.rmtree(self._cluster.data_dir(broker))
        lasted = await self._wait()
        await self._cluster.start(server)
        await topic_when(self._admin, TOPIC, all_in_sync, within_s=WELL_AGAIN_S)
        return f"{server.name} for {lasted}"

    # --- links ---

    async def _cut(self) -> str:
        victim = (await self._server()).name
        servers = [server.name for server in self._cluster.servers if server.name != victim]
        coordinators = [name for name in servers if name.startswith("coordinator")]
        brokers = [name for name in servers if name.startswith("broker")]
        what, others = self._rng.choice(
            [
                ("one other", [self._rng.choice([*servers, CLIENT])]),
                ("the servers", servers),
                ("everybody", [*servers, CLIENT]),
                ("the coordinators", coordinators),
                ("the brokers", brokers),
                ("the clients", [CLIENT]),
            ]
        )
        cut = self._rng.choice([self._links.cut, self._links.cut, self._links.cut_one_way])
        for other in others:
            cut(victim, other)
        lasted = await self._wait()
        self._links.heal()
        way = "one way, " if cut == self._links.cut_one_way else ""
        name = f" ({others[0]})" if what == "one other" else ""
        return f"{victim} from {what}{name} {way}for {lasted}"

    async def _alone(self) -> str:
        """With its clients, for as long as it takes that somebody else leads."""
        server = self._cluster.brokers[await self._broker()]
        for other in self._cluster.servers:
            if other is not server:
                self._links.cut(server.name, other.name)
        await asyncio.sleep(SESSION_S)
        lasted = await self._wait()
        self._links.heal()
        return f"{server.name} for {SESSION_S} s and {lasted}"

    # --- disks ---

    async def _full(self) -> str:
        """One disk, sometimes all."""
        brokers = list(self._cluster.brokers) if self._rng.random() < 0.2 else [await self._broker()]
        for broker in brokers:
            self._cluster.disk(broker).fill()
        return await self._disks_healed(brokers)

    async def _slow(self) -> str:
        broker = await self._broker()
        seconds = self._rng.choice((0.02, 0.1, 0.5))
        self._cluster.disk(broker).slow_down(seconds)
        return f"{await self._disks_healed([broker])}, by {seconds} s"

    async def _hang(self) -> str:
        broker = await self._broker()
        self._cluster.disk(broker).hang()
        return await self._disks_healed([broker])

    async def _disks_healed(self, brokers: Sequence[int]) -> str:
        lasted = await self._wait()
        for broker in brokers:
            self._cluster.disk(broker).heal()
        return f"the disks of brokers {brokers} for {lasted}"

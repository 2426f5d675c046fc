"""A minority's data directory deleted, cut short or bit-flipped, again and again, while the cluster goes on.

    python -m tests.acceptance.quorum.damage [CASES] [SEED]

Each of CASES (200) rounds kills one of three coordinators, damages its directory, creates a topic meanwhile,
starts it again and waits until all three vote and have the same log. Every coordinator must then list every
topic that was ever acknowledged, and no other. Prints what each kind of damage led to; exit code 1 if a topic
is lost or the cluster does not recover.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from streamkeep import Admin
from streamkeep_common.seams.real.network import GrpcNetwork
from tests.acceptance.quorum.failover import topics_of
from tests.acceptance.quorum.status import all_well, quorum_when
from tests.integration.cluster import Cluster
from tests.integration.server_process import ServerProcess

COORDINATORS = 3
SNAPSHOT_ENTRIES = 40
KEEP_TOPICS = 40


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.is_file() and path.stat().st_size)


def delete_directory(directory: Path, _rng: random.Random) -> str:
    shutil.rmtree(directory)
    return "directory deleted"


def truncate_file(directory: Path, rng: random.Random) -> str:
    path = rng.choice(_files(directory))
    size = rng.randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.truncate(size)
    return f"{_kind(path)} cut short"


def flip_bit(directory: Path, rng: random.Random) -> str:
    path = rng.choice(_files(directory))
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return f"{_kind(path)} bit flipped"


def delete_file(directory: Path, rng: random.Random) -> str:
    path = rng.choice(_files(directory))
    path.unlink()
    return f"{_kind(path)} deleted"


DAMAGE: list[Callable[[Path, random.Random], str]] = [delete_directory, truncate_file, flip_bit, delete_file]


def _kind(path: Path) -> str:
    return path.suffix.lstrip(".") or path.name


class Run:
    """One cluster and the topics that it must know."""

    def __init__(self, cluster: Cluster, admin: Admin, rng: random.Random) -> None:
        self.cluster = cluster
        self.admin = admin
        self.rng = rng
        self.topics: list[str] = []
        self.outcomes: Counter[str] = Counter()

    async def case(self, number: int) -> None:
        victim = self.rng.randint(1, COORDINATORS)
        server = self.cluster.coordinators[victim]
        directory = Path(server.flags["data-dir"])
        await server.kill()
        what = self.rng.choice(DAMAGE)(directory, self.rng)
        await self._write(f"case-{number}")
        before = await self._members()
        complaints = self._complaints()
        await self.cluster.start(server)
        await quorum_when(self.admin, all_well(COORDINATORS))
        replaced = (await self._members())[victim] != before[victim]
        said = self._complaints() > complaints
        self.outcomes[f"{what:<28} {'rejoined as new' if replaced else 'recovered':<16} {'said' * said}"] += 1
        assert said or not replaced, f"{server.name} was replaced after '{what}' and did not say why"
        await self._check(what)

    async def _write(self, name: str) -> None:
        await self.admin.create_topic(name, partitions=1, wait=False)
        self.topics.append(name)
        if len(self.topics) > KEEP_TOPICS:
            await self.admin.delete_topic(self.topics.pop(0))

    async def _members(self) -> dict[int, bytes]:
        described = await self.admin.describe_quorum()
        return {member.coordinator_id: member.directory_id for member in described.members}

    def _complaints(self) -> int:
        """Warnings and errors in the logs of all coordinators."""
        return sum(map(_complaints, self.cluster.coordinators.values()))

    async def _check(self, what: str) -> None:
        for number in self.cluster.coordinators:
            seen = await topics_of(GrpcNetwork(), self.cluster.coordinator_address(number))
            assert seen == sorted(self.topics), f"coordinator {number} after '{what}': {seen}"


def _complaints(server: ServerProcess) -> int:
    """Lines of warnings and errors in its log."""
    lines = server.log_path.read_text().splitlines()
    return sum('"level": "warning"' in line or '"level": "error"' in line for line in lines)


async def run(folder: Path, cases: int, seed: int) -> None:
    flags = {"snapshot-entries": str(SNAPSHOT_ENTRIES)}
    async with (
        Cluster(folder, coordinators=COORDINATORS, brokers=1, coordinator_flags=flags) as cluster,
        Admin(cluster.bootstrap) as admin,
    ):
        await quorum_when(admin, all_well(COORDINATORS))
        story = Run(cluster, admin, random.Random(seed))
        for number in range(cases):
            await story.case(number)
            if number % 10 == 9:
                print(f"{number + 1} of {cases} cases", file=sys.stderr, flush=True)
    for outcome, count in sorted(story.outcomes.items()):
        print(f"{count:4}  {outcome}")
    print(f"{cases} cases, seed {seed}: no topic lost, the cluster went on in all of them")


def main() -> int:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory(prefix="streamkeep-damage-") as folder:
        asyncio.run(run(Path(folder), cases, seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""All departures of a year through six partitions, compared per carrier with pandas reading the file itself.

    python -m tests.acceptance.flights path/to/flights.csv.gz

Each row becomes JSON keyed by carrier. Per carrier the count and the mean of `dep_delay` must agree.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pandas

from streamkeep import Admin, Consumer, Producer
from tests.bench.peers.streamkeep import Streamkeep

TOPIC = "flights"
PARTITIONS = 6
CHUNK_ROWS = 10_000


def rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        yield from csv.DictReader(file)


async def produce(bootstrap: str, path: Path) -> int:
    source, count = rows(path), 0
    async with Producer(bootstrap, compression="zstd") as producer:
        while chunk := list(islice(source, CHUNK_ROWS)):
            values: list[bytes | None] = [json.dumps(row).encode() for row in chunk]
            await producer.send_many(TOPIC, values, keys=[row["carrier"].encode() for row in chunk])
            count += len(chunk)
        await producer.flush()
    return count


async def consume(bootstrap: str, count: int) -> pandas.DataFrame:
    """What came back, with the carrier taken from the key, not from the row."""
    seen: list[tuple[str, float | None]] = []
    async with Consumer(bootstrap) as consumer:
        await consumer.assign({(TOPIC, number): "earliest" for number in range(PARTITIONS)})
        async for batch in consumer.batches():
            assert batch.keys is not None
            for key, value in zip(batch.keys, batch.values, strict=True):
                assert key is not None and value is not None
                delay = json.loads(value)["dep_delay"]
                seen.append((key.decode(), None if delay == "NA" else float(delay)))
            if len(seen) >= count:
                break
    return pandas.DataFrame(seen, columns=["carrier", "dep_delay"])


def by_carrier(frame: pandas.DataFrame) -> pandas.DataFrame:
    grouped = frame.groupby("carrier")["dep_delay"]
    return pandas.DataFrame({"departures": grouped.size(), "mean_dep_delay": grouped.mean()})


async def run(bootstrap: str, path: Path) -> int:
    async with Admin(bootstrap) as admin:
        await admin.create_topic(TOPIC, partitions=PARTITIONS)
    began = time.perf_counter()
    count = await produce(bootstrap, path)
    produced = time.perf_counter()
    through = by_carrier(await consume(bootstrap, count))
    consumed = time.perf_counter()
    expected = by_carrier(pandas.read_csv(path))
    print(through.round(3).to_string())
    print(f"{count:,} produced in {produced - began:.1f} s, read back in {consumed - produced:.1f} s")
    pandas.testing.assert_frame_equal(through, expected, check_exact=False, rtol=1e-12)
    print(f"all {len(expected)} carriers agree with pandas: counts equal, means equal")
    return 0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="streamkeep-flights-") as folder:
        cluster = Streamkeep(Path(folder))
        cluster.start()
        try:
            return asyncio.run(run(cluster.bootstrap, Path(sys.argv[1])))
        finally:
            cluster.stop()


if __name__ == "__main__":
    sys.exit(main())

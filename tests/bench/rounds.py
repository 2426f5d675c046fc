"""One round of one system: every mode and shape, one after the other, each on a topic of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.bench.driver import Driver

SHAPES = [(partitions, size) for partitions in (1, 6) for size in (100, 1000)]
RECORDS = {100: 2_000_000, 1000: 400_000}
CALLER_RECORDS = 64 * 1500
LATENCY_SIZE = 100


class Round:
    """Figures by name: records per second, or ms."""

    def __init__(self, driver: Driver, number: int, *, share: float) -> None:
        self._driver = driver
        self._number = number
        self._share = share

    def rates(self, producing: Sequence[str], consuming: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Every mode of producing, and every one of reading what the first of those has produced."""
        for partitions, size in SHAPES:
            records = int(RECORDS[size] * self._share)
            for mode in producing:
                shape = self._topic(f"{partitions}-{size}-{mode}", partitions, size, records)
                result = self._driver.run(operation="produce", mode=mode, **shape)
                yield f"{mode}/{partitions}/{size}", records / result["seconds"]
                if mode == producing[0]:
                    for reader in consuming:
                        result = self._driver.run(operation="consume", mode=reader, **shape)
                        yield f"{reader}/{partitions}/{size}", records / result["seconds"]
                self._driver.run(operation="delete", **shape)

    def callers(self) -> Iterator[tuple[str, float]]:
        """64 tasks that each wait for one record after the other."""
        shape = self._topic("callers", 1, 100, CALLER_RECORDS)
        result = self._driver.run(operation="produce", mode="callers", **shape)
        self._driver.run(operation="delete", **shape)
        yield "callers", CALLER_RECORDS / result["seconds"]

    def latencies(self, modes: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, float]]:
        """Of each of these operations, by name; on a topic with these settings."""
        for name, settings in modes.items():
            shape = self._topic(f"latency-{name}", 1, LATENCY_SIZE, 0, settings)
            operation = name.partition("-")[0]
            for percentile, figure in self._driver.run(operation=operation, **shape).items():
                yield f"{name}/{percentile}", figure
            self._driver.run(operation="delete", **shape)

    def _topic(
        self, name: str, partitions: int, size: int, records: int, settings: Mapping[str, str] | None = None
    ) -> Mapping[str, object]:
        shape = {
            "topic": f"bench-{self._number}-{name}",
            "partitions": partitions,
            "size": size,
            "records": records,
        }
        self._driver.run(operation="create", settings=settings or {}, **shape)
        return shape

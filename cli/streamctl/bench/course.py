"""What a benchmark has measured so far: also who interrupts it gets that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from streamctl.bench.figures import Measured, Setup
from streamctl.bench.live import Progress
from streamkeep_common.seams.clock import Clock


class Course:
    """`progress` and `times_ms` (see `Measured`) grow while a benchmark runs; `setup` is what it runs on."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.setup: Setup | None = None
        self.progress = Progress()
        self.times_ms: dict[str, list[float]] = {}
        self._begin_s: float | None = None
        self._seconds = 0.0

    @property
    def has_begun(self) -> bool:
        return self._begin_s is not None

    @property
    def seconds(self) -> float:
        """Since `timed` began."""
        return 0.0 if self._begin_s is None else self.clock.monotonic() - self._begin_s

    @contextmanager
    def timed(self, *names: str) -> Iterator[None]:
        """This takes the time that counts, however it ends; in it these `times_ms` are measured."""
        self.times_ms = {name: [] for name in names}
        self._begin_s = self.clock.monotonic()
        try:
            yield
        finally:
            self._seconds = self.seconds

    def measured(self) -> Measured:
        """Once that is over."""
        assert self.setup is not None
        progress = self.progress
        return Measured(self.setup, progress.records, progress.size_bytes, self._seconds, self.times_ms)

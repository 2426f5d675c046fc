"""Which logs and partitions a process has changed since they were looked at: what a checker has to look at.

Every assignment to what is watched is seen, by whatever way it comes, so nothing can change unseen; and what
does not change costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.replication.following.stream import FollowerStream, Subscriber
from streamkeep_broker.replication.partition import Partition
from tests.sim.processes import PROCESS, SimProcess

OF_LOGS = frozenset(
    (
        "log_end_offset",
        "flushed_end_offset",
        "high_watermark",
        "log_start_offset",
        "lowered",
        "settings",
        "_segments",
    )
)


class Changed:
    """What one process has changed. `logs` has the lowest end that each log has had since, `reopened` those
    whose files were opened, first or anew: where they end then tells nothing of what they hold."""

    def __init__(self) -> None:
        self.logs: dict[PartitionLog, int] = {}
        self.reopened: set[PartitionLog] = set()
        self.partitions: dict[Partition, None] = {}
        self.subscribes = False
        """A partition has been, or is to be, followed on a stream where it was not."""


class Watch:
    """Collects while `watching` is entered."""

    def __init__(self) -> None:
        self._changed: dict[SimProcess, Changed] = {}

    def take(self, process: SimProcess) -> Changed | None:
        """What it has changed since the last time; None: nothing."""
        return self._changed.pop(process, None)

    @contextmanager
    def watching(self) -> Iterator[None]:
        def set_of_log(log: PartitionLog, name: str, value: Any) -> None:
            object.__setattr__(log, name, value)
            if name in OF_LOGS:
                self._log(log, value if name == "log_end_offset" else None)
            if name == "_segments":
                self._reopened(log)

        def set_of_partition(partition: Partition, name: str, value: Any) -> None:
            object.__setattr__(partition, name, value)
            self._partition(partition)

        rightly = FollowerStream.join

        def join(stream: FollowerStream, subscriber: Subscriber) -> None:
            rightly(stream, subscriber)
            changed = self._of_present()
            if changed is not None:
                changed.subscribes = True

        with (
            patch.object(FollowerStream, "join", join),
            patch.object(PartitionLog, "__setattr__", set_of_log),
            patch.object(Partition, "__setattr__", set_of_partition),
        ):
            yield

    def _of_present(self) -> Changed | None:
        process = PROCESS.get()
        return None if process is None else self._changed.setdefault(process, Changed())

    def _log(self, log: PartitionLog, end_offset: int | None) -> None:
        changed = self._of_present()
        if changed is None:
            return
        before = changed.logs.get(log)
        if end_offset is None:
            end_offset = before if before is not None else _NO_END
        changed.logs[log] = end_offset if before is None else min(before, end_offset)

    def _reopened(self, log: PartitionLog) -> None:
        changed = self._of_present()
        if changed is not None:
            changed.reopened.add(log)

    def _partition(self, partition: Partition) -> None:
        changed = self._of_present()
        if changed is not None:
            changed.partitions[partition] = None


_NO_END = 1 << 62

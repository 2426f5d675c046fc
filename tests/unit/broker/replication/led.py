"""One replica on a simulated disk with its clock and flushes in the test's hand, and followers by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from streamkeep_broker.log.manager import LogManager
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.log.writable_log import Appended
from streamkeep_broker.replication.leadership import Leadership
from streamkeep_broker.replication.partition import Partition
from streamkeep_broker.replication.waiters import PendingAppend
from streamkeep_common.errors import StreamkeepError
from streamkeep_common.image import BrokerImage, PartitionImage
from streamkeep_proto.v1.coordinator_pb2 import InSyncMember
from streamkeep_proto.v1.errors_pb2 import LeaderHint
from streamkeep_proto.v1.metadata_pb2 import BrokerRecord
from streamkeep_proto.v1.records_pb2 import RecordBatch
from tests.unit.broker.log.logs import TOPIC_ID, flush_once, make_batch, make_disk, open_log

LAG_MS = 3000
ME = 1
NOBODY = LeaderHint()


class HandClock:
    """Time as the test says it."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def now_ms(self) -> int:
        return 1_700_000_000_000 + int(self.now_s * 1000)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here sleeps")


class HandLogs:
    """The door to the log; flushes happen when the test says so."""

    def append(
        self, log: PartitionLog, batch: RecordBatch, payload: bytes, *, leader_epoch: int, now_ms: int
    ) -> Appended:
        return log.append(batch, payload, leader_epoch=leader_epoch, now_ms=now_ms)

    def request_flush(self, log: PartitionLog) -> None:
        """The test flushes."""


class Pending(PendingAppend):
    """One batch, until it is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.is_done = False

    @property
    def is_acknowledged(self) -> bool:
        return self.is_done and self.error is None

    def done(self) -> None:
        assert not self.is_done, "answered once"
        self.is_done = True


class Follower:
    """The leader's end of a subscription that nobody is behind."""

    def __init__(self, follower_id: int, broker_epoch: int = 1) -> None:
        self.follower_id = follower_id
        self.broker_epoch = broker_epoch
        self.appends = 0
        self.moves = 0
        self.error: StreamkeepError | None = None
        self.is_replaced = False

    def appended(self) -> None:
        self.appends += 1

    def moved(self) -> None:
        self.moves += 1

    def ended(self, error: StreamkeepError) -> None:
        self.error = error

    def replaced(self) -> None:
        self.is_replaced = True


class Reader:
    """Somebody who reads along."""

    def __init__(self) -> None:
        self.moves = 0
        self.images = 0
        self.error: StreamkeepError | None = None

    def moved(self) -> None:
        self.moves += 1

    def ended(self, error: StreamkeepError) -> None:
        self.error = error

    def image_changed(self) -> None:
        self.images += 1


def image(
    *,
    isr: Sequence[int] = (1, 2, 3),
    replicas: Sequence[int] = (1, 2, 3),
    leader: int = ME,
    leader_epoch: int = 1,
    partition_epoch: int = 1,
    adding: Sequence[int] = (),
    removing: Sequence[int] = (),
) -> PartitionImage:
    return PartitionImage(
        topic_id=TOPIC_ID,
        partition=0,
        replicas=tuple(replicas),
        directory_ids=tuple(DIRECTORY_ID for _ in replicas),
        isr=tuple(isr),
        elr=(),
        leader=leader,
        leader_epoch=leader_epoch,
        partition_epoch=partition_epoch,
        adding_replicas=tuple(adding),
        removing_replicas=tuple(removing),
    )


DIRECTORY_ID = bytes(16)
"""Each broker's only one."""


def brokers(
    *, epochs: Mapping[int, int] | None = None, fenced: Sequence[int] = (), full: Sequence[int] = ()
) -> dict[int, BrokerImage]:
    """Brokers 1 to 4, of epoch 1 unless told otherwise; `full` are those whose disk is."""
    known = dict.fromkeys(range(1, 5), 1) | dict(epochs or {})
    return {
        broker_id: BrokerImage(
            BrokerRecord(
                broker_id=broker_id,
                broker_epoch=epoch,
                directory_ids=[DIRECTORY_ID],
                full_directory_ids=[DIRECTORY_ID] if broker_id in full else [],
            ),
            broker_id in fenced,
        )
        for broker_id, epoch in known.items()
    }


class Led:
    """A partition of brokers 1, 2 and 3 as broker 1 has it."""

    def __init__(self, **settings: Any) -> None:
        self.disk = make_disk()
        self.log = open_log(self.disk, **settings)
        self.clock = HandClock()
        self.partition = Partition(
            self.log,
            logs=cast(LogManager, HandLogs()),
            clock=self.clock,
            broker_id=ME,
            replica_lag_ms=LAG_MS,
        )
        self.due = 0
        self.partition.on_isr_due = self._is_due
        self._sequence = 0

    def _is_due(self, partition: Partition) -> None:
        assert partition is self.partition
        self.due += 1

    @property
    def leadership(self) -> Leadership:
        assert self.partition.leadership is not None
        return self.partition.leadership

    @property
    def high_watermark(self) -> int:
        return self.log.high_watermark

    def apply(
        self,
        new: PartitionImage,
        *,
        epochs: Mapping[int, int] | None = None,
        fenced: Sequence[int] = (),
        full: Sequence[int] = (),
        hint: LeaderHint | None = NOBODY,
    ) -> None:
        self.partition.apply(new, hint, brokers=brokers(epochs=epochs, fenced=fenced, full=full))

    def append(self, count: int = 1, *, leader_epoch: int = 0) -> Pending:
        """One batch of so many records."""
        batch = make_batch([b"v"] * count, base_sequence=self._sequence)
        pending = Pending()
        self.partition.append(batch, batch.records, leader_epoch=leader_epoch, pending=pending)
        if pending.error is None:
            self._sequence += count
        return pending

    def flush(self) -> None:
        """All that is in the log is on the disk."""
        while self.log.needs_flush or self.log.flushed_end_offset < self.log.log_end_offset:
            flush_once(self.disk, self.log)
        self.log.on_progress()

    def follow(
        self, follower_id: int, *, at: int | None = None, flushed: int | None = None, broker_epoch: int = 1
    ) -> Follower:
        """A new subscription; at the log end and flushed unless told otherwise."""
        follower = Follower(follower_id, broker_epoch)
        at = self.log.log_end_offset if at is None else at
        self.leadership.check_follower(follower_id, broker_epoch)
        self.leadership.add_follower(
            follower, log_end_offset=at, flushed_end_offset=at if flushed is None else flushed
        )
        return follower

    def acknowledge(self, follower: Follower, end: int, flushed: int | None = None) -> None:
        self.leadership.acknowledge(follower, end, end if flushed is None else flushed)

    def propose(self) -> list[InSyncMember] | None:
        """What the partition wants now, taken as proposed."""
        members = self.leadership.wanted_isr(self.clock.now_s)
        if members is not None:
            self.leadership.isr_proposed(members)
        return members

    def wanted(self) -> list[int] | None:
        """The ids that it would propose now."""
        members = self.leadership.wanted_isr(self.clock.now_s)
        return None if members is None else [member.broker_id for member in members]


def led(isr: tuple[int, ...] = (1, 2, 3), **topic: object) -> Led:
    led = Led(**topic)
    led.apply(image(isr=isr))
    return led

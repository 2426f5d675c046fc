"""The producer that users hold: checks and encodes in the thread that sends, leaves the rest to the loop."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Generic, Self, Unpack, overload

from streamkeep.blocking.client import Client, on_loop
from streamkeep.blocking.delivery import Deliveries, Delivery
from streamkeep.blocking.handle import Handle
from streamkeep.blocking.handover import Columns, Row
from streamkeep.blocking.pump import LoopProducer, Pump
from streamkeep.blocking.staging import Staging
from streamkeep.producer.arguments import (
    HeadersArgument,
    check_bytes,
    check_size,
    check_timestamp,
    header_pairs,
    record_size,
)
from streamkeep.producer.encoding import RecordEncoder
from streamkeep.producer.interceptors import Passage, ProducerInterceptor
from streamkeep.producer.metrics import ProducerMetrics
from streamkeep.producer.options import MAX_BATCH_BYTES, Compression, ProducerArguments
from streamkeep.producer.record import ProducerRecord, header_tuple, records_of
from streamkeep.serializers import BYTES, K, Serializer, V
from streamkeep_common.errors import BufferFullError, UnknownPartitionError
from streamkeep_common.limits import MIB
from streamkeep_common.seams.clock import Clock
from streamkeep_common.seams.network import Network

_INTERRUPTED_CLOSE_MS = 1_000
"""How long a block that is left by Ctrl-C still delivers; another Ctrl-C ends that, too."""

_STAGED_BYTES = 2 * MIB
_STAGED_PART = 16
"""So many bytes wait for the loop, and no more than this part of the buffer."""


class Producer(Handle, Generic[K, V]):
    """Writes records: each exactly once, in the order in which it was given, partition by partition.

    All options, and what is raised, are those of `streamkeep.Producer`. What waits to be taken over by the
    thread of the SDK, and what it is just taking over, 2 MiB each at most, come on top of `buffer_bytes`.

    Serializers and an interceptor's `on_send` are called in the thread that sends. What became of a record
    interceptors hear on the SDK's, where a call of this package that would wait raises RuntimeError.

    Threads may share it; the order of each is kept. Use it with `with`, which delivers what is buffered
    before it ends (for at most a second if Ctrl-C ends it), or with `start` and `close`. Ctrl-C ends any wait
    at once; what was sent before will be delivered.
    """

    @overload
    def __init__(
        self: Producer[bytes, bytes],
        bootstrap: str | Sequence[str] | Client,
        **options: Unpack[ProducerArguments],
    ) -> None: ...
    @overload
    def __init__(
        self: Producer[K, bytes],
        bootstrap: str | Sequence[str] | Client,
        *,
        key_serializer: Serializer[K],
        **options: Unpack[ProducerArguments],
    ) -> None: ...
    @overload
    def __init__(
        self: Producer[bytes, V],
        bootstrap: str | Sequence[str] | Client,
        *,
        value_serializer: Serializer[V],
        **options: Unpack[ProducerArguments],
    ) -> None: ...
    @overload
    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        *,
        key_serializer: Serializer[K],
        value_serializer: Serializer[V],
        **options: Unpack[ProducerArguments],
    ) -> None: ...
    def __init__(
        self,
        bootstrap: str | Sequence[str] | Client,
        *,
        key_serializer: Serializer[Any] = BYTES,
        value_serializer: Serializer[Any] = BYTES,
        interceptors: Sequence[ProducerInterceptor] = (),
        linger_ms: float = 5,
        batch_bytes: int = MAX_BATCH_BYTES,
        buffer_bytes: int = 64 * MIB,
        compression: Compression = "none",
        delivery_timeout_ms: int = 120_000,
        max_in_flight: int = 5,
        network: Network | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._on_loop: LoopProducer = LoopProducer(
            on_loop(bootstrap),
            linger_ms=linger_ms,
            batch_bytes=batch_bytes,
            buffer_bytes=buffer_bytes,
            compression=compression,
            delivery_timeout_ms=delivery_timeout_ms,
            max_in_flight=max_in_flight,
            network=network,
            clock=clock,
            rng=rng,
        )
        self._staging = Staging(max(1, min(_STAGED_BYTES, buffer_bytes // _STAGED_PART)))
        self._pump = Pump(self._on_loop, self._staging)
        self._encoder = RecordEncoder(key_serializer, value_serializer)
        self._interceptors = tuple(interceptors)
        self._as_they_are = key_serializer is BYTES and value_serializer is BYTES and not interceptors
        self._is_started = False
        super().__init__(self._pump, on_fork=self._staging.forget)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = isinstance(error, KeyboardInterrupt)
        self.close(timeout_ms=_INTERRUPTED_CLOSE_MS if interrupted else None)

    def start(self) -> None:
        """Make it ready; connections are made when they are needed. Raises ClosedError after `close`."""
        self._call(self._pump.start())
        self._is_started = True

    def close(self, *, timeout_ms: int | None = None) -> None:
        """Deliver what is buffered, then let go of everything.

        Waits at most `timeout_ms` (default: as long as deliveries may take); what is not delivered by then
        fails with ClosedError. So it does if Ctrl-C ends the wait. Who closes it meanwhile waits for the same
        end; the shortest time counts.
        """
        self._leave(self._pump.close(timeout_ms=timeout_ms))

    def send(
        self,
        topic: str,
        value: V | None,
        *,
        key: K | None = None,
        headers: HeadersArgument | None = None,
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Delivery:
        """Buffer one record; the `result` of the returned `Delivery` is its outcome.

        Waits only for room in the buffer, and at first for the topic's partitions. If Ctrl-C ends that wait,
        the record was not buffered; once `send` has returned it will be delivered.

        Without `partition` the key's bytes decide, by murmur2 as in Kafka, and without a key one partition
        after the other gets a batch. `value` None is a tombstone. `timestamp_ms` is by default the time at
        which the record is taken over, some ms later, in ms since 1970-01-01 UTC.

        Raises UnknownTopicError, InvalidTopicNameError, UnknownPartitionError, BatchTooLargeError,
        ClosedError; TypeError and ValueError for arguments that cannot be sent, RecordEncodeError (which is a
        ValueError) for a key or value that its serializer cannot write. The record was not buffered then.
        """
        if headers is None and timestamp_ms is None and partition is None:
            delivery = self._add_fast(topic, value, key)
            if delivery is not None:
                return delivery
        return self._send(topic, (value, key, headers, timestamp_ms, partition), waits=True)

    def send_nowait(
        self,
        topic: str,
        value: V | None,
        *,
        key: K | None = None,
        headers: HeadersArgument | None = None,
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> Delivery:
        """As `send`, but raises BufferFullError where that would wait.

        It would wait if there is no room, and if the topic was not used before: call `partitions_for` first.
        """
        if headers is None and timestamp_ms is None and partition is None:
            delivery = self._add_fast(topic, value, key)
            if delivery is not None:
                return delivery
        return self._send(topic, (value, key, headers, timestamp_ms, partition), waits=False)

    def send_many(
        self,
        topic: str,
        values: Sequence[V | None],
        *,
        keys: Sequence[K | None] | None = None,
        headers: Sequence[HeadersArgument | None] | None = None,
        timestamps_ms: Sequence[int] | int | None = None,
        partition: int | None = None,
    ) -> Deliveries:
        """Buffer many records, given as columns; the fastest way in.

        `keys`, `headers` and `timestamps_ms` have one item a record; one timestamp stands for all. Otherwise
        as `send`. The columns must not be changed before it returns. Waits for room piece by piece, so they
        may be larger than the buffer; if Ctrl-C ends that wait, an unknown part of them was buffered. If one
        cannot be sent, none is.
        """
        if self._interceptors:
            return self._send_each(
                records_of(topic, values, keys, headers, timestamps_ms, partition=partition)
            )
        columns = Columns(
            self._encoder.column(topic, "value", values),
            None if keys is None else self._encoder.column(topic, "key", keys),
            headers,
            timestamps_ms,
            partition,
        )
        self._partitions(topic, waits=True)
        handover = self._staging.add_columns(topic, columns)
        try:
            self._call(handover.wait_until_taken())
        finally:
            handover.recall_unless_taken()
        if handover.refusal is not None:
            raise handover.refusal
        return Deliveries([Delivery(handover, index) for index in range(len(values))])

    def flush(self) -> None:
        """Send what is buffered now and wait until each of those records is acknowledged or has failed.

        Failures are told by the records' deliveries, and logged; `flush` does not raise them.
        """
        self._check_started()
        self._call(self._pump.flush(self._staging.mark()))

    def partitions_for(self, topic: str) -> int:
        """How many partitions a topic has. `send_nowait` may be used for it from then on."""
        self._check_started()
        count = self._staging.partitions[topic] = self._call(self._on_loop.partitions_for(topic))
        return count

    def metrics(self) -> ProducerMetrics:
        """What was counted so far, and how full the buffer is. Cheap enough to be called every second."""
        figures = self._on_loop.metrics()
        return replace(figures, buffer_used_bytes=figures.buffer_used_bytes + self._staging.used_bytes)

    def buffer_has_room(self) -> bool:
        """`send` would not wait for room now, nor `send_nowait` raise, for an ordinary record."""
        return self._staging.has_room()

    # --- inside ---

    def _add_fast(self, topic: str, value: Any, key: Any) -> Delivery | None:
        """The short way, for bytes. None where `_send` has to look."""
        if value.__class__ is not bytes or not self._as_they_are:
            return None
        if key is None:
            return self._staging.add_plain(topic, value)
        if key.__class__ is bytes:
            return self._staging.add_keyed(topic, value, key)
        return None

    def _send(self, topic: str, given: tuple[Any, Any, Any, Any, Any], *, waits: bool) -> Delivery:
        """The long way, for whatever there is."""
        if self._as_they_are:
            row, size = self._checked(topic, given, waits=waits)
            return self._staging.add(topic, row, size, waits=waits)
        value, key, headers, timestamp_ms, partition = given
        record = ProducerRecord(topic, value, key, header_tuple(headers), timestamp_ms, partition)
        return self._send_each([record], waits=waits)[0]

    def _send_each(self, given: Sequence[ProducerRecord[Any, Any]], *, waits: bool = True) -> Deliveries:
        """Records that are encoded, and that interceptors see; all are checked before one is added."""
        passages = [Passage(self._interceptors, record) for record in given]
        deliveries: list[Delivery] = []
        try:
            records = [self._encoder.record(passage.record, index) for index, passage in enumerate(passages)]
            rows = [self._checked(record.topic, _row(record), waits=waits) for record in records]
            for record, (row, size), passage in zip(records, rows, passages, strict=True):
                deliveries.append(self._staging.add(record.topic, row, size, waits=waits, passage=passage))
        except BaseException as error:
            for passage in passages[len(deliveries) :]:
                passage.failed(error)
            raise
        return Deliveries(deliveries)

    def _checked(self, topic: str, row: Row, *, waits: bool) -> tuple[Row, int]:
        """The record as it can be sent, and what it takes, in bytes. Raises what is wrong with it."""
        value, key, headers, timestamp_ms, partition = row
        check_bytes("value", value)
        check_bytes("key", key)
        pairs = header_pairs(headers) if headers else None
        if timestamp_ms is not None:
            check_timestamp(timestamp_ms)
        size = record_size(value, key, pairs)
        check_size(size, self._on_loop.max_record_bytes)
        count = self._partitions(topic, waits=waits)
        if partition is not None and not 0 <= partition < count:
            self._check_partition(topic, partition)
        return (value, key, pairs, timestamp_ms, partition), size

    def _check_partition(self, topic: str, partition: int) -> None:
        """There may be more by now."""
        count = self.partitions_for(topic)
        if not 0 <= partition < count:
            raise UnknownPartitionError(f"topic '{topic}' has partitions 0 to {count - 1}, not {partition}")

    def _partitions(self, topic: str, *, waits: bool) -> int:
        count = self._staging.partitions.get(topic)
        if count is not None:
            return count
        if not waits:
            self._check_started()
            raise BufferFullError(f"the partitions of topic '{topic}' are not known yet")
        return self.partitions_for(topic)

    def _check_started(self) -> None:
        self._staging.check_open()
        if not self._is_started:
            raise RuntimeError("use the producer with 'with', or call its start() first")


def _row(record: ProducerRecord[bytes, bytes]) -> Row:
    return record.value, record.key, record.headers or None, record.timestamp_ms, record.partition

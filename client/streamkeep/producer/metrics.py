"""What a producer counts, batch by batch, and the snapshot of it that users get."""

from __future__ import annotations

from dataclasses import dataclass

from streamkeep.producer.batch import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerMetrics:
    """A producer's figures at one moment; what is counted is counted since the producer was made.

    Bytes are those of keys, values and headers, with four for each, before compression.

    records_sent, bytes_sent, batches_sent
                                on their way to a broker for the first time.
    batches_retried             how often a batch was sent again.
    requests                    sent; a request carries batches of several partitions.
    records_acknowledged, bytes_acknowledged
                                stored, as a broker has said.
    records_failed, bytes_failed
                                of deliveries that failed; some of these may never have been sent.
    answers                     batches that a broker has answered for, whatever it said.
    answer_wait_total_ms, answer_wait_max_ms
                                how long those answers took, from when the request was made up.
    buffer_used_bytes           of records that are not acknowledged yet, and kept for those to come.
    buffer_bytes                what may be buffered.
    """

    records_sent: int
    bytes_sent: int
    batches_sent: int
    batches_retried: int
    requests: int
    records_acknowledged: int
    bytes_acknowledged: int
    records_failed: int
    bytes_failed: int
    answers: int
    answer_wait_total_ms: float
    answer_wait_max_ms: float
    buffer_used_bytes: int
    buffer_bytes: int

    @property
    def request_latency_ms(self) -> float:
        """Mean of how long an answer took, 0 before the first."""
        return self.answer_wait_total_ms / self.answers if self.answers else 0.0


class ProducerCounts:
    """What goes up while a producer writes."""

    def __init__(self) -> None:
        self.records_sent = self.bytes_sent = self.batches_sent = 0
        self.batches_retried = self.requests = 0
        self.records_acknowledged = self.bytes_acknowledged = 0
        self.records_failed = self.bytes_failed = 0
        self.answers = 0
        self.answer_wait_total_ms = self.answer_wait_max_ms = 0.0

    def sent(self, batch: Batch) -> None:
        """The batch becomes part of a request."""
        if batch.was_sent:
            self.batches_retried += 1
            return
        batch.was_sent = True
        self.batches_sent += 1
        self.records_sent += batch.record_count
        self.bytes_sent += batch.size

    def answered(self, wait_s: float) -> None:
        """A broker has said what became of a batch."""
        self.answers += 1
        self.answer_wait_total_ms += wait_s * 1_000
        self.answer_wait_max_ms = max(self.answer_wait_max_ms, wait_s * 1_000)

    def acknowledged(self, batch: Batch) -> None:
        """The batch is stored."""
        self.records_acknowledged += batch.record_count
        self.bytes_acknowledged += batch.size

    def failed(self, batch: Batch) -> None:
        """The batch was given up."""
        self.records_failed += batch.record_count
        self.bytes_failed += batch.size

    def snapshot(self, *, buffer_used_bytes: int, buffer_bytes: int) -> ProducerMetrics:
        """All of it, and how full the buffer is now."""
        return ProducerMetrics(**vars(self), buffer_used_bytes=buffer_used_bytes, buffer_bytes=buffer_bytes)

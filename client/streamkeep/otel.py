"""Traces across a stream: OpenTelemetry's context travels in record headers, as W3C Trace Context has it.

    producer = Producer("localhost:7101", interceptors=[TracingProducer()])
    ...
    async for record in consumer:
        with tracer.start_as_current_span("process", context=context_of(record)): ...

    async for batch in consumer.batches():
        with tracer.start_as_current_span("process", links=links_of(batch)): ...

Needs the extra `otel`. Nothing of the SDK imports it. Spans and attributes are named by OpenTelemetry's
semantic conventions for messaging.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_current_span,
    get_tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from streamkeep.consumer.records import ConsumedBatch, Headers, Record
from streamkeep.producer.delivery import UNKNOWN_OFFSET, RecordMetadata
from streamkeep.producer.interceptors import ProducerInterceptor
from streamkeep.producer.record import ProducerRecord

MAX_LINKS = 128
"""What OpenTelemetry keeps of a span's links by default; more would be dropped without a word."""

_PROPAGATOR = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class _Traced(ProducerRecord[Any, Any]):
    """A record whose span is open until its outcome is known."""

    span: Span = INVALID_SPAN


class TracingProducer(ProducerInterceptor):
    """One span of kind PRODUCER a record, from `send` to its acknowledgement, below the current span.

    Its context goes into the headers `traceparent` and `tracestate`, in place of any that are there.
    `tracer_provider` is by default the global one.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = get_tracer("streamkeep", tracer_provider=tracer_provider)

    def on_send(self, record: ProducerRecord[Any, Any]) -> ProducerRecord[Any, Any]:
        """Begin the span and put its context into the headers."""
        span = self._tracer.start_span(
            f"send {record.topic}",
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": "streamkeep",
                "messaging.operation.name": "send",
                "messaging.operation.type": "send",
                "messaging.destination.name": record.topic,
            },
        )
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, context=set_span_in_context(span))
        kept = (pair for pair in record.headers if pair[0] not in _PROPAGATOR.fields)
        own = ((name, text.encode()) for name, text in carrier.items())
        return _Traced(
            record.topic,
            record.value,
            record.key,
            headers=(*kept, *own),
            timestamp_ms=record.timestamp_ms,
            partition=record.partition,
            span=span,
        )

    def on_acknowledged(self, record: ProducerRecord[Any, Any], metadata: RecordMetadata) -> None:
        """End the span, which says where the record is."""
        span = _span_of(record)
        span.set_attribute("messaging.destination.partition.id", str(metadata.partition))
        if metadata.offset != UNKNOWN_OFFSET:
            span.set_attribute("messaging.streamkeep.offset", metadata.offset)
        span.end()

    def on_failed(self, record: ProducerRecord[Any, Any], error: BaseException) -> None:
        """End the span with what went wrong."""
        span = _span_of(record)
        span.set_attribute("error.type", type(error).__name__)
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, str(error)))
        span.end()


def context_of(record: Record[Any, Any]) -> Context:
    """The context under which a record was sent, for a span that processes it alone.

    Empty if its headers have none, or one that makes no sense: a span in it begins a trace of its own.
    """
    return _extract(record.headers)


def links_of(batch: ConsumedBatch[Any, Any] | Sequence[Record[Any, Any]]) -> list[Link]:
    """Links to the spans that sent these records, for a span that processes them together.

    Links and not a parent, since there may be many. At most MAX_LINKS, each span once.
    """
    headers = batch.headers.values() if isinstance(batch, ConsumedBatch) else [r.headers for r in batch]
    links: dict[tuple[int, int], Link] = {}
    for pairs in headers:
        span_context = get_current_span(_extract(pairs)).get_span_context()
        if span_context.is_valid:
            links.setdefault((span_context.trace_id, span_context.span_id), Link(span_context))
            if len(links) == MAX_LINKS:
                break
    return list(links.values())


def _span_of(record: ProducerRecord[Any, Any]) -> Span:
    """One that says nothing if `on_send` failed."""
    return record.span if isinstance(record, _Traced) else INVALID_SPAN


def _extract(headers: Headers) -> Context:
    carrier = {
        name: value.decode("ascii", "replace") for name, value in headers if name in _PROPAGATOR.fields
    }
    return _PROPAGATOR.extract(carrier, context=Context())

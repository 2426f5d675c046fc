"""Traces across a stream: a consumer's spans know which producer's spans they come from."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from streamkeep import Consumer, Producer, Record
from streamkeep.errors import BatchTooLargeError
from streamkeep.otel import MAX_LINKS, TracingProducer, context_of, links_of
from tests.unit.sdk.world import World, in_world


class Traces:
    """A tracer provider, and the spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("test")

    def ended(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())


def test_a_record_carries_the_context_of_the_span_that_sent_it() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        traces = Traces()
        async with world.client() as client:
            async with Producer(client, interceptors=[TracingProducer(traces.provider)]) as producer:
                with traces.tracer.start_as_current_span("request") as request:
                    await (await producer.send("t", b"v", headers={"h": b"1", "traceparent": b"old"}))
            async with Consumer(client) as consumer:
                await consumer.assign([("t", 0)])
                record = await anext(consumer)
            with traces.tracer.start_as_current_span("process", context=context_of(record)):
                pass
        sent, _, processed = traces.ended()
        assert (sent.name, sent.kind, sent.status.status_code) == (
            "send t",
            SpanKind.PRODUCER,
            StatusCode.UNSET,
        )
        assert sent.attributes is not None
        assert sent.attributes["messaging.destination.name"] == "t"
        assert sent.attributes["messaging.destination.partition.id"] == "0"
        assert sent.attributes["messaging.streamkeep.offset"] == 0
        assert sent.parent is not None and sent.parent.span_id == request.get_span_context().span_id
        assert processed.parent is not None and processed.parent.span_id == sent.get_span_context().span_id
        headers = dict(record.headers)
        trace_id, span_id, _, flags = sent.get_span_context()[:4]
        assert headers["traceparent"].decode() == f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
        assert [name for name, _ in record.headers] == ["h", "traceparent"]

    in_world(story)


def test_a_batch_is_linked_to_the_spans_of_its_records() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        traces = Traces()
        async with world.client() as client:
            async with Producer(client, interceptors=[TracingProducer(traces.provider)]) as producer:
                await (await producer.send_many("t", [b"v"] * (MAX_LINKS + 2)))
            async with Consumer(client) as consumer:
                await consumer.assign([("t", 0)])
                batch = await anext(consumer.batches())
        sent = [span.get_span_context().span_id for span in traces.ended()]
        assert [link.context.span_id for link in links_of(batch)] == sent[:MAX_LINKS]
        some: list[Record[bytes, bytes]] = batch.records()[:2]
        assert [link.context.span_id for link in links_of([*some, some[0]])] == sent[:2]

    in_world(story)


@pytest.mark.parametrize("traceparent", [None, b"", b"\xff\xff", b"00-0-0-0", b"x" * 100_000])
def test_a_context_that_makes_no_sense_is_none(traceparent: bytes | None) -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        async with world.client() as client:
            async with Producer(client) as producer:
                headers = None if traceparent is None else {"traceparent": traceparent}
                await producer.send("t", b"v", headers=headers)
            async with Consumer(client) as consumer:
                await consumer.assign([("t", 0)])
                batch = await anext(consumer.batches())
        (record,) = batch.records()
        assert not get_current_span(context_of(record)).get_span_context().is_valid
        assert links_of(batch) == links_of([record]) == []

    in_world(story)


def test_the_span_of_a_record_that_was_not_sent_says_why() -> None:
    async def story(world: World) -> None:
        world.cluster.create_topic("t")
        traces = Traces()
        async with (
            world.client() as client,
            Producer(
                client, interceptors=[TracingProducer(traces.provider)], batch_bytes=100, buffer_bytes=100
            ) as producer,
        ):
            with pytest.raises(BatchTooLargeError):
                await producer.send("t", bytes(200))
        (span,) = traces.ended()
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes is not None and span.attributes["error.type"] == "BatchTooLargeError"

    in_world(story)


def test_the_sdk_imports_none_of_the_extras() -> None:
    extras = ("opentelemetry", "pydantic", "json")
    program = f"import sys, streamkeep; print([name for name in {extras!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

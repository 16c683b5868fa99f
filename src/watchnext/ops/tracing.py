"""OpenTelemetry spans of one request through gateway, retrieval and ranking, under one trace id.

    caller's span, if any
    └── gateway.recommend
        └── graph.call
            ├── retrieval              in the retrieval server; its parent came in the request
            │   └── features, tower, sources, index
            └── ranking                in the guard; its parent came in the envelope
                └── ranker.call

The router forwards no header, so the W3C `traceparent` travels in the bodies. Spans are made and sent where
`ops.otlp_endpoint` is set. Where it is not, nothing here does anything, OpenTelemetry's SDK is not even imported, and a
caller's `traceparent` passes through as it came.

>>> with span("gateway.recommend", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
...     traceparent()
''
"""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

import watchnext
from watchnext.settings import Ops

CALL: Final = SpanKind.CLIENT  # the span of who waits for another process
ANSWER: Final = SpanKind.SERVER  # the span of who is waited for
_COLLECTOR_S: Final = 2.0  # for one of up to four batches, all of which a process that ends waits for

_W3C: Final = TraceContextTextMapPropagator()
_tracer: Tracer | None = None  # none: no traces


def send_traces(ops: Ops, process: str) -> None:
    """Send the spans of this process to `ops.otlp_endpoint`, if that is set; once, at its start.

    A trace that came with the request is kept or not as its caller decided; of the others `ops.trace_share` are kept.
    Headers, such as a collector's token, come from OpenTelemetry's own OTEL_EXPORTER_OTLP_HEADERS.
    """
    global _tracer
    if not ops.otlp_endpoint:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(
        resource=Resource.create({"service.name": f"watchnext-{process}", "service.version": watchnext.__version__}),
        sampler=ParentBased(TraceIdRatioBased(ops.trace_share)),
    )
    exporter = OTLPSpanExporter(endpoint=f"{ops.otlp_endpoint.rstrip('/')}/v1/traces", timeout=_COLLECTOR_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))  # on a thread of its own; ends with the process
    _tracer = provider.get_tracer("watchnext", watchnext.__version__)


def span(name: str, parent: str = "", *, kind: SpanKind = SpanKind.INTERNAL) -> AbstractContextManager[Span]:
    """The current span while the body runs; an exception that leaves it marks it as failed.

    Args:
        name: of the span.
        parent: a `traceparent` from another process; without one, the current span.
        kind: `CALL` or `ANSWER` at the ends of a hop.
    """
    if _tracer is None:
        return nullcontext(trace.INVALID_SPAN)
    context = _W3C.extract({"traceparent": parent}) if parent else None
    return _tracer.start_as_current_span(name, context, kind)


def traceparent() -> str:
    """What makes the spans of another process children of the current one; empty outside of a trace."""
    carrier: dict[str, str] = {}
    if _tracer is not None:
        _W3C.inject(carrier)
    return carrier.get("traceparent", "")


def described(request_id: str, generation: str, overlay: int, degraded: Sequence[str]) -> dict[str, AttributeValue]:
    """The attributes of a span whose answer is known."""
    return {
        "watchnext.request_id": request_id,
        "watchnext.generation": f"{generation}.{overlay}",
        "watchnext.degraded": list(degraded),
    }


def lap(name: str, seconds: float) -> None:
    """A child of the current span that ends now and began `seconds` ago."""
    if _tracer is not None:
        now = time.time_ns()
        _tracer.start_span(name, start_time=now - int(seconds * 1e9)).end(now)

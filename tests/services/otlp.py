"""A collector: the other end of OTLP over HTTP, which keeps the spans that it is sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Received:
    """One span, with the process that sent it."""

    process: str
    name: str
    trace: str
    id: str
    parent: str  # empty: a root
    begin: int  # ns
    end: int  # ns
    attributes: dict[str, object]


@dataclass
class Collector:
    """What came in."""

    url: str
    spans: list[Received] = field(default_factory=list)

    def of_request(self, request_id: str) -> dict[str, Received]:
        """By name, the spans of the trace that has a span about this request."""
        spans = list(self.spans)
        about = [span for span in spans if span.attributes.get("watchnext.request_id") == request_id]
        traces = {span.trace for span in about}
        assert len(traces) <= 1, f"{request_id} fell apart into {traces}"
        return {span.name: span for span in spans if span.trace in traces}


@contextmanager
def collector(port: int) -> Iterator[Collector]:
    """A collector on this port, while the body runs."""
    received = Collector(f"http://127.0.0.1:{port}")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            known = self.path == "/v1/traces"
            if known:
                received.spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200 if known else 404)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Received]:
    for resource in request.resource_spans:
        [process] = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(
                    process=process,
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    begin=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes={
                        one.key: [value.string_value for value in one.value.array_value.values]
                        if one.value.HasField("array_value")
                        else one.value.string_value
                        for one in span.attributes
                    },
                )

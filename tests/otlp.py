"""A collector of traces: what an operator's would be sent, decoded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP (protobuf) on a port of loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._changed = threading.Condition()
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []

    @property
    def endpoint(self) -> str:
        """What ``OTEL_EXPORTER_OTLP_ENDPOINT`` is to be."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, request: ExportTraceServiceRequest) -> None:
        with self._changed:
            for part in request.resource_spans:
                self.resources.append(attributes(part.resource))
                self.spans += [span for scope in part.scope_spans for span in scope.spans]
            self._changed.notify_all()

    def wait_for_turns(self, n: int, timeout_s: float = 30.0) -> dict[bytes, list[Span]]:
        """The spans by trace, once ``n`` whole turns have arrived.

        Raises:
            TimeoutError: they do not.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._whole()) >= n, timeout_s):
                raise TimeoutError(f"{len(self._whole())} of {n} turns arrived")
            return self._whole()

    def _whole(self) -> dict[bytes, list[Span]]:
        traces: dict[bytes, list[Span]] = {}
        for span in self.spans:
            traces.setdefault(span.trace_id, []).append(span)
        return {
            trace: spans for trace, spans in traces.items() if any(s.name == "turn" for s in spans)
        }


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces"
        assert self.headers["content-type"] == "application/x-protobuf"
        self.server.take(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens until the block ends."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


def attributes(holder: Any) -> dict[str, Any]:
    """A span's or a resource's attributes as plain values."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in holder.attributes}

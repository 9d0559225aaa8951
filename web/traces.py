"""Each turn as one OpenTelemetry trace, where the standard variables name an OTLP endpoint.

The spans are made when the turn is over, out of the stamps that its timings follow from; while it
runs, nothing is done for them. A thread sends them in batches; what cannot be sent is dropped.
"""

import asyncio
from collections.abc import Mapping
from importlib.metadata import entry_points

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from deployments.errors import ConfigError
from graph.record import Span, TurnRecord
from web.health import version

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVICE = "realtime-avatar"

_GROUP, _PROTOCOL = "opentelemetry_traces_exporter", "otlp_proto_http"
_NS_PER_S, _NS_PER_MS = 1_000_000_000, 1_000_000


def exporter(environ: Mapping[str, str]) -> SpanExporter | None:
    """What sends spans where the variables say; ``None`` where they name no endpoint.

    Raises:
        ConfigError: they name one, and the package that could send is missing.
    """
    if not any(environ.get(name) for name in ENDPOINTS):
        return None
    for found in entry_points(group=_GROUP, name=_PROTOCOL):
        made: SpanExporter = found.load()()
        return made
    raise ConfigError(
        f"{ENDPOINTS[1]} is set, but nothing can send traces: "
        "pip install opentelemetry-exporter-otlp-proto-http"
    )


class TurnTraces:
    """Sends turns; ``run`` sends what is left when it is cancelled."""

    def __init__(self, exporter: SpanExporter) -> None:
        ours = Resource.create({"service.name": SERVICE, "service.version": version()})
        # Merged again, because what the operator's variables say goes before what we say.
        self._provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE, version())

    def record(self, turn: TurnRecord) -> None:
        """Hand the turn over."""
        received_ns = round(turn.received_at_s * _NS_PER_S)
        whole, *stages = turn.spans()
        root = self._begin(whole, received_ns, Context(), SpanKind.SERVER)
        for name, value in _attributes(turn).items():
            root.set_attribute(name, value)
        inside = set_span_in_context(root, Context())
        for stage in stages:
            span = self._begin(stage, received_ns, inside, SpanKind.INTERNAL)
            if not stage.is_whole:
                span.set_status(Status(StatusCode.ERROR, f"at work when the turn: {turn.outcome}"))
            span.end(_ns(stage.end_ms, received_ns))
        root.set_status(_status(turn.outcome))
        root.end(_ns(whole.end_ms, received_ns))

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Blocks. Send what is left; nothing may be recorded after this."""
        self._provider.shutdown()

    def _begin(self, span: Span, received_ns: int, within: Context, kind: SpanKind) -> OtelSpan:
        start_ns = _ns(span.start_ms, received_ns)
        begun = self._tracer.start_span(span.name, within, kind, start_time=start_ns)
        for name, at_ms in span.events.items():
            begun.add_event(name, timestamp=_ns(at_ms, received_ns))
        return begun


def _ns(since_request_ms: float, received_ns: int) -> int:
    return received_ns + round(since_request_ms * _NS_PER_MS)


def _attributes(turn: TurnRecord) -> dict[str, str | int | bool]:
    """Ids, sizes and engines; nothing that anybody said."""
    report = turn.report
    engines = {f"engine.{stage}": name for stage, name in report.engines.items()}
    reduced = sorted({step.level for step in report.timings.ladder})
    return {
        **turn.caller.fields(),
        **engines,
        "outcome": turn.outcome,
        "language": report.language,
        "ladder": " ".join(reduced),
        "n_frames": report.n_frames,
        "n_late_frames": report.n_late_frames,
        "n_bytes": report.n_bytes,
        "is_shortened": report.is_shortened,
    }


def _status(outcome: str) -> Status:
    """Whoever leaves makes no error."""
    if outcome == "finished":
        return Status(StatusCode.OK)
    return Status(StatusCode.UNSET if outcome == "cancelled" else StatusCode.ERROR)

"""Traces leave over OTLP where the standard variables say so."""

import os

import pytest

from deployments.caller import Caller
from deployments.errors import ConfigError
from graph.events import Timings
from graph.record import TurnRecord, TurnReport
from tests.otlp import attributes, collecting
from web.traces import TurnTraces, exporter

PACKAGE = "opentelemetry.exporter.otlp.proto.http"


def a_turn(turn_id: str) -> TurnRecord:
    marks = {"asr_start": 10.0, "asr_end": 110.0, "first_fragment": 200.0, "turn_end": 250.0}
    report = TurnReport(Timings(asr_ms=100.0, ttff_ms=200.0, turn_ms=250.0), marks)
    return TurnRecord("finished", Caller("r", turn_id, "s"), 1_700_000_000.0, report)


def test_without_an_endpoint_nothing_is_sent() -> None:
    assert exporter({"OTEL_SERVICE_NAME": "x"}) is None


def test_an_endpoint_without_the_package_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.traces.entry_points", lambda **_: ())
    with pytest.raises(ConfigError, match="pip install opentelemetry-exporter-otlp-proto-http"):
        exporter({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})


def test_turns_arrive_at_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(PACKAGE)
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        sender = exporter(os.environ)
        assert sender is not None
        traces = TurnTraces(sender)
        for turn_id in ("one", "two"):
            traces.record(a_turn(turn_id))
        traces.close()
        arrived = collector.wait_for_turns(2)

    assert [r["service.name"] for r in collector.resources] == ["realtime-avatar"]
    told = {}
    for spans in arrived.values():
        asr, turn = sorted(spans, key=lambda span: span.name)
        assert asr.parent_span_id == turn.span_id
        told[attributes(turn)["turn_id"]] = [
            (span.name, span.start_time_unix_nano, span.end_time_unix_nano) for span in (turn, asr)
        ]
    second_ns, ms_ns = 1_700_000_000 * 10**9, 10**6
    expected = [
        ("turn", second_ns, second_ns + 250 * ms_ns),
        ("asr", second_ns + 10 * ms_ns, second_ns + 110 * ms_ns),
    ]
    assert told == {"one": expected, "two": expected}

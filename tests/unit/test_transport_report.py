"""What the comparison of transports makes of what was measured."""

from dataclasses import replace

import pytest

from benchmarks.load_record import TurnRecord
from benchmarks.transport_report import FIGURES, Carried, LoadUnder, figures, ratios, shown

TURN = TurnRecord(
    user=0, number=1, attempt=1, kind="typed", endpoint="stream", asked_at=0.0,
    outcome="finished", ttff_s=0.3, n_fragments=100, n_late=0, video_s=20.0, is_whole=True,
)  # fmt: skip


def carried(slower: float) -> Carried:
    turns = [replace(TURN, ttff_s=0.2 * slower), replace(TURN, outcome="cut", n_late=50)]
    return Carried(
        idle_cores=0.1,
        ttff_s=[0.1 * slower] * 3,
        upload_s=[0.5 * slower],
        loads=[LoadUnder(turns, 4.0 * slower), LoadUnder([TURN, TURN], 4.0 * slower)],
        memory_gb=2.0,
    )


def test_the_figures_are_of_all_rounds_together() -> None:
    assert figures(carried(1.0)) == {
        "ttff_p50_s": 0.1,
        "ttff_p95_s": 0.1,
        "upload_p50_s": 0.5,
        "loaded_ttff_p50_s": 0.3,
        "loaded_ttff_p95_s": 0.3,
        "late_share": 0.125,  # 50 of 400
        "not_whole": 1,
        "cpu_per_video_s": 0.1,  # 8 s for 80 s
        "idle_cores": 0.1,
        "memory_gb": 2.0,
    }


def test_ratios_are_to_the_first_and_leave_out_what_was_nothing() -> None:
    found = {"default": figures(carried(1.0)), "throughput": figures(carried(0.5))}
    found["default"]["late_share"] = 0.0
    over = ratios(found, "default")
    assert over.keys() == {"throughput"}
    assert over["throughput"]["ttff_p50_s"] == 0.5
    assert over["throughput"]["cpu_per_video_s"] == 0.5
    assert over["throughput"]["memory_gb"] == 1.0
    assert "late_share" not in over["throughput"]


@pytest.mark.parametrize("modes", [("default", "throughput"), ("default", "throughput", "haproxy")])
def test_the_table_has_a_line_for_every_figure(modes: tuple[str, ...]) -> None:
    lines = shown({mode: figures(carried(1.0)) for mode in modes}, "default").splitlines()
    assert len(lines) == len(FIGURES) + 2
    assert lines[0].count("/ default") == len(modes) - 1

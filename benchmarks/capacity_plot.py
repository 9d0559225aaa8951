"""The curve: what so many speakers at once were shown, as a PNG and as one HTML file.

Each line has its own marker and stroke besides its colour (Okabe and Ito's set, made to be told
apart by colour-blind people), and limits are named where they are drawn.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.capacity_steps import HEADER, LADDER_SHARE, LATE_SHARE, TTFF_P95_S, Step
from benchmarks.plot_page import html_page

_BLUE, _VERMILION, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#555555"
_INCHES = (8.0, 9.0)
_CAPTION_CHARACTERS = 110


def write_plot(steps: Sequence[Step], carried: int, caption: str, png: Path, page: Path) -> None:
    """Draw ``steps`` into both files; their folders are made."""
    figure = _figure(steps, carried, caption)
    for path in (png, page):
        path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=130)
    rows = [step.row() for step in steps]
    page.write_text(html_page(figure, _title(carried), HEADER, rows, caption))


def _figure(steps: Sequence[Step], carried: int, caption: str) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, layout="constrained")
    axes = figure.subplots(4, 1, sharex=True)
    n = [step.n_speakers for step in steps]
    _line(axes[0], n, [s.ttff_p95_s for s in steps], _VERMILION, "s", "--", "p95")
    _line(axes[0], n, [s.ttff_p50_s for s in steps], _BLUE, "o", "-", "p50")
    _limit(axes[0], TTFF_P95_S, f"p95 at most {TTFF_P95_S:g} s")
    axes[0].set_ylabel("first fragment, s")
    _line(axes[1], n, [100 * s.late_share for s in steps], _VERMILION, "s", "--", "late")
    _limit(axes[1], 100 * LATE_SHARE, f"at most {LATE_SHARE:.1%}")
    axes[1].set_ylabel("late fragments, %")
    _line(axes[2], n, [100 * s.ladder_share for s in steps], _GREEN, "^", "-.", "reduced")
    _limit(axes[2], 100 * LADDER_SHARE, f"at most {LADDER_SHARE:.0%}")
    axes[2].set_ylabel("video on the ladder, %")
    _line(axes[3], n, [s.video_s_per_s for s in steps], _BLUE, "o", "-", "made")
    axes[3].set_ylabel("video, s per s")
    axes[3].set_xlabel("speakers at once")
    axes[3].set_xticks(n)
    for axis in axes:
        axis.set_ylim(0, 1.15 * max(max(line.get_ydata()) for line in axis.get_lines()))
        axis.grid(color="#dddddd")
        axis.legend(loc="upper left")
        if carried:
            axis.axvline(carried, color=_GREY, linewidth=1)  # the last step that held
    figure.suptitle(_title(carried))
    lines = [part for line in caption.splitlines() for part in wrap(line, _CAPTION_CHARACTERS)]
    figure.supxlabel("\n".join(lines), fontsize=8, color=_GREY)
    return figure


def _title(carried: int) -> str:
    return f"{carried} people carried who speak at once"


def _line(axis: Any, n: Sequence[int], values: Sequence[float], color: str, marker: str,
          stroke: str, label: str) -> None:  # fmt: skip
    axis.plot(n, values, color=color, marker=marker, linestyle=stroke, label=label)


def _limit(axis: Any, value: float, text: str) -> None:
    axis.axhline(value, color=_GREY, linestyle=":", linewidth=1.2)
    axis.annotate(
        text,
        xy=(1.0, value),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=_GREY,
    )


def caption_of(facts: Mapping[str, Any], about: str) -> str:
    """Hardware, date and load, and what was asked of it."""
    before, after = facts["load_before"][0], facts["load_after"][0]
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['ram_gb']} GB; {facts['date']}; "
        f"load average {before} before, {after} after\n{about}"
    )

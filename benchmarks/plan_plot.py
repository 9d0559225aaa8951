"""What was planned, as a picture: by the number of cards, or over the hours of a day.

Each line has its own marker and stroke besides its colour (Okabe and Ito's set, made to be told
apart by colour-blind people), and limits are named where they are drawn.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from benchmarks.plan_outcome import REFUSED_SHARE, Need, Outcome, Simulated
from benchmarks.plot_page import html_page

_BLUE, _VERMILION, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#555555"
_INCHES = (8.0, 8.0)
_CAPTION_CHARACTERS, _TITLE_CHARACTERS = 110, 80
_HOUR_S = 3600.0


def cards_figure(
    outcomes: Sequence[Outcome], need: Need, found: int | None, title: str, caption: str
) -> Any:
    """TTFF, waiting and price by the number of cards."""
    figure, axes = _figure(title, caption, 3)
    n = [o.n_cards for o in outcomes]
    _line(axes[0], n, [o.ttff_s.p95 for o in outcomes], _VERMILION, "s", "--", "p95")
    _line(axes[0], n, [o.ttff_s.p50 for o in outcomes], _BLUE, "o", "-", "p50")
    _limit(axes[0], need.ttff_p95_s, f"p95 at most {need.ttff_p95_s:g} s")
    axes[0].set_ylabel("first fragment, s")
    axes[0].set_ylim(0, 2.5 * need.ttff_p95_s)  # beyond that a point is simply too few cards
    waited = [100 * o.waited_share for o in outcomes]
    refused = [100 * o.refused_share for o in outcomes]
    _line(axes[1], n, waited, _BLUE, "o", "-", "waited")
    _line(axes[1], n, refused, _VERMILION, "s", "--", "refused")
    _limit(axes[1], 100 * REFUSED_SHARE, f"refused at most {REFUSED_SHARE:.0%}")
    axes[1].set_ylabel("of the turns, %")
    prices = [100 * o.price_per_talking_minute for o in outcomes]
    _line(axes[2], n, prices, _GREEN, "^", "-.", "per talking minute")
    axes[2].set_ylabel("US cents")
    axes[2].set_ylim(0, 1.2 * max(prices))
    axes[2].set_xlabel("cards")
    _finish(axes)
    for axis in axes:
        if found is not None:
            axis.axvline(found, color=_GREY, linewidth=1)  # the least that is enough
    return figure


def day_figure(simulated: Simulated, need: Need, title: str, caption: str) -> Any:
    """Calls, cards and TTFF over the hours."""
    figure, axes = _figure(title, caption, 3)
    at_h = [sample.at_s / _HOUR_S for sample in simulated.samples]
    axes[0].plot(at_h, [s.n_calls for s in simulated.samples], color=_BLUE, label="in a call")
    talking = [s.n_turns for s in simulated.samples]
    axes[0].plot(at_h, talking, color=_GREEN, linestyle="-.", label="being answered")
    axes[0].set_ylabel("people")
    rented = [s.n_cards for s in simulated.samples]
    axes[1].step(at_h, rented, color=_GREY, where="post", label="rented")
    axes[1].set_ylabel("cards")
    hours, p50, p95 = _by_hour(simulated)
    _line(axes[2], hours, p95, _VERMILION, "s", "--", "p95")
    _line(axes[2], hours, p50, _BLUE, "o", "-", "p50")
    _limit(axes[2], need.ttff_p95_s, f"p95 of the day at most {need.ttff_p95_s:g} s")
    axes[2].set_ylabel("first fragment, s")
    axes[2].set_xlabel("hour")
    for axis in axes:
        axis.set_ylim(bottom=0)
    _finish(axes)
    return figure


def write_plot(
    figure: Any,
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    stem: Path,
) -> tuple[Path, Path]:
    """The figure as ``stem``.png and, with its numbers, ``stem``.html; their folder is made."""
    png, page = stem.with_suffix(".png"), stem.with_suffix(".html")
    stem.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=130)
    page.write_text(html_page(figure, title, header, rows, caption))
    return png, page


def _by_hour(simulated: Simulated) -> tuple[list[float], list[float], list[float]]:
    """The middle of each hour in which somebody asked, and its median and p95."""
    by_hour: dict[int, list[float]] = {}
    for answer in simulated.answers:
        by_hour.setdefault(int(answer.wished_at_s / _HOUR_S), []).append(answer.ttff_s)
    hours = sorted(by_hour)
    found = [np.percentile(by_hour[hour], (50, 95)) for hour in hours]
    return (
        [hour + 0.5 for hour in hours],
        [float(p50) for p50, _ in found],
        [float(p95) for _, p95 in found],
    )


def _figure(title: str, caption: str, n_panels: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, layout="constrained")
    figure.suptitle("\n".join(wrap(title, _TITLE_CHARACTERS)))
    lines = [part for line in caption.splitlines() for part in wrap(line, _CAPTION_CHARACTERS)]
    figure.supxlabel("\n".join(lines), fontsize=8, color=_GREY)
    return figure, figure.subplots(n_panels, 1, sharex=True)


def _finish(axes: Any) -> None:
    for axis in axes:
        axis.grid(color="#dddddd")
        axis.legend(loc="best")


def _line(axis: Any, at: Sequence[float], values: Sequence[float], color: str, marker: str,
          stroke: str, label: str) -> None:  # fmt: skip
    axis.plot(at, values, color=color, marker=marker, linestyle=stroke, label=label)


def _limit(axis: Any, value: float, text: str) -> None:
    axis.axhline(value, color=_GREY, linestyle=":", linewidth=1.2)
    axis.annotate(
        text,
        xy=(0.0, value),
        xycoords=("axes fraction", "data"),
        xytext=(4, 3),
        textcoords="offset points",
        fontsize=8,
        color=_GREY,
    )

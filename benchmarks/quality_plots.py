"""A run's drawings: where the time went, how well it was understood, whose voice it was, and how
the lips kept time. Turns are named as in the report; each series has a marker besides its colour
(Okabe and Ito's set, made to be told apart by colour-blind people).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.quality_metrics import METRICS
from benchmarks.quality_turn import Judged, Reference, percentiles

_BLUE, _VERMILION, _GREEN, _YELLOW, _SKY, _GREY = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#555555",
)  # fmt: skip
_LANGUAGE_LOOKS = {"en": (_BLUE, "o"), "zh": (_VERMILION, "s"), "es": (_GREEN, "^")}
_WIDTH_IN, _TURN_IN = 9.0, 0.26
_STEPS = (
    ("decode_ms", _GREY), ("asr_ms", _BLUE), ("llm_first_token_ms", _YELLOW),
    ("tts_first_audio_ms", _GREEN), ("avatar_first_frame_ms", _VERMILION),
)  # fmt: skip
_TITLES = {metric.key: metric.title for metric in METRICS}

_OTHERS = 0.6  # what another speaker of the same language may reach. Source: EMBEDDED.md

OFFSET_LIMITS_MS = (-80.0, 40.0)
"""Between sound and lips, positive where sound leads. Source: STYLE.md section 8, stricter than
ITU-R BT.1359."""


def figures_of(
    turns: Sequence[Judged], references: Mapping[str, Reference]
) -> list[tuple[str, Any]]:
    """The drawings with their titles; one that would be empty is left out."""
    answered = [turn for turn in turns if not turn.error]
    drawings: tuple[tuple[str, Sequence[str], Callable[[Any, Sequence[Judged]], None]], ...] = (
        ("Until the first fragment, ms", ("ttff_ms",), _draw_times),
        ("Misunderstood: questions and replies", ("reply_error_rate", "question_error_rate"),
         _draw_errors),
        ("Speaker similarity to the sample, cosine", ("speaker_similarity",), _draw_similarity),
        ("Pitch, Hz: 5, 25, 50, 75 and 95 %", ("f0_mean_hz",),
         lambda axes, of: _draw_pitch(axes, of, references)),
        ("Sound before lips, ms, and how well they agree", ("av_offset_ms",), _draw_lips),
    )  # fmt: skip
    found = []
    for title, keys, draw in drawings:
        shown = [t for t in answered if any(key in t.figures for key in keys)]
        if shown:
            found.append((title, _drawn(shown, draw)))
    return found


def _drawn(turns: Sequence[Judged], draw: Callable[[Any, Sequence[Judged]], None]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, 1.2 + _TURN_IN * len(turns)), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(turns)), [turn.place.name for turn in turns])
    axes.invert_yaxis()
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    draw(axes, turns)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    return figure


def _draw_times(axes: Any, turns: Sequence[Judged]) -> None:
    """Stages one after the other, and when the first fragment was ready: they overlap a little."""
    start = [0.0] * len(turns)
    for key, color in _STEPS:
        widths = [turn.figures.get(key, 0.0) for turn in turns]
        axes.barh(range(len(turns)), widths, left=start, color=color, label=_TITLES[key])
        start = [a + b for a, b in zip(start, widths, strict=True)]
    _points(axes, turns, "ttff_ms", "black", "|", _TITLES["ttff_ms"])


def _draw_errors(axes: Any, turns: Sequence[Judged]) -> None:
    _points(axes, turns, "reply_error_rate", _BLUE, "o", "reply (WER; zh: CER)")
    _points(axes, turns, "question_error_rate", _VERMILION, "s", "question (WER; zh: CER)")
    axes.set_xlim(left=-0.02)


def _draw_similarity(axes: Any, turns: Sequence[Judged]) -> None:
    _by_language(axes, turns, "speaker_similarity")
    low = min(turn.figures["speaker_similarity"] for turn in turns)
    axes.set_xlim(min(low - 0.02, _OTHERS), 1.0)  # or tiny differences would look large


def _draw_pitch(axes: Any, turns: Sequence[Judged], references: Mapping[str, Reference]) -> None:
    for at, turn in enumerate(turns):
        color, marker = _looks(turn.spoken)
        low, quarter, middle, three_quarters, high = turn.pitch_percentiles_hz
        axes.plot((low, high), (at, at), color=color, linewidth=1)
        axes.plot((quarter, three_quarters), (at, at), color=color, linewidth=5, alpha=0.5)
        axes.plot(middle, at, color=color, marker=marker)
    for language, reference in references.items():
        if reference.pitch is not None:
            color, _ = _looks(language)
            middle = percentiles(reference.pitch)[2]
            axes.axvline(middle, color=color, linestyle=":", label=f"{language}: the sample")


def _draw_lips(axes: Any, turns: Sequence[Judged]) -> None:
    axes.axvspan(*OFFSET_LIMITS_MS, color="#eeeeee")
    axes.axvline(0.0, color=_GREY, linewidth=1)
    _by_language(axes, turns, "av_offset_ms")
    for at, turn in enumerate(turns):
        where = (turn.figures["av_offset_ms"], at)
        text = f"r {turn.figures['lip_correlation']:.2f}"
        axes.annotate(text, where, xytext=(6, -3), textcoords="offset points", fontsize=7)
    axes.set_xlim(-205, 205)


def _by_language(axes: Any, turns: Sequence[Judged], key: str) -> None:
    for language in dict.fromkeys(turn.spoken for turn in turns):
        color, marker = _looks(language)
        _points(axes, turns, key, color, marker, language, language)


def _points(axes: Any, turns: Sequence[Judged], key: str, color: str, marker: str, label: str,
            language: str = "") -> None:  # fmt: skip
    found = [
        (turn.figures[key], at)
        for at, turn in enumerate(turns)
        if key in turn.figures and language in ("", turn.spoken)
    ]
    if found:
        values, places = zip(*found, strict=True)
        axes.plot(values, places, color=color, marker=marker, linestyle="", label=label,
                  markersize=12 if marker == "|" else 6)  # fmt: skip


def _looks(language: str) -> tuple[str, str]:
    return _LANGUAGE_LOOKS.get(language, (_SKY, "D"))

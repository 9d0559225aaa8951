"""A run as one HTML file that loads nothing: verdicts, figures, drawings, and every turn with its
sound and video to play."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import Machine
from benchmarks.plot_page import svg_of
from benchmarks.quality_baseline import ALL, ASKED, HEADER, Compared, metric_of
from benchmarks.quality_metrics import METRICS, error_rate_name
from benchmarks.quality_plots import figures_of
from benchmarks.quality_turn import Judged, Reference
from benchmarks.speech import wav

_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem;
  color: #222 }
h2 { margin-top: 2.5rem; border-bottom: 2px solid #ccc }
svg, video { max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: .85rem; margin: .5rem 0 1rem }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #ddd }
.words { text-align: left }
.scroll { overflow-x: auto }
.bad { color: #a00000; font-weight: bold }
.quiet { color: #555 }
article { display: grid; grid-template-columns: 15rem 1fr; gap: 1.2rem; padding: 1rem 0;
  border-bottom: 1px solid #ddd }
article h3 { margin: 0; grid-column: 1 / -1 }
article video { width: 15rem; background: #eee center / cover }
audio { display: block; height: 2rem; margin: .2rem 0 }
dt { font-size: .8rem; color: #555 } dd { margin: 0 0 .5rem }
@media (max-width: 40rem) { article { grid-template-columns: 1fr } }
"""

_WORDS = " class=words"


@dataclass(frozen=True, slots=True)
class Run:
    """All that a report shows. ``result`` and ``machine`` make the run's JSON; ``face`` is a WebP
    picture that stands where a video has not begun; ``compared`` is empty without a baseline."""

    result: Mapping[str, Any]
    machine: Mapping[str, Any]
    turns: Sequence[Judged]
    references: Mapping[str, Reference]
    face: bytes
    compared: Sequence[Compared] = ()


def report_page(run: Run) -> str:
    """The file's text."""
    title = f"Quality of the profile {run.result['settings']['profile']}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _facts(run),
        _baseline(run.compared),
        _summary(run.result["summary"]),
        _missing(run.result["missing"]),
        *(_drawing(name, figure) for name, figure in figures_of(run.turns, run.references)),
        _voices(run.references),
        "<h2>Turns</h2>",
        *(_turn(turn) for turn in run.turns),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}'
        f'</title>\n<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}{_poster(run.face)}</style>\n"
        + "\n".join(part for part in parts if part)
        + "\n</html>\n"
    )


def _poster(face: bytes) -> str:
    """Once for all videos."""
    return f"article video {{ background-image: url({_data_uri(face, 'image/webp')}) }}"


def _facts(run: Run) -> str:
    settings = run.result["settings"]
    engines = ", ".join(f"{stage} {name}" for stage, name in run.result["engines"].items())
    asked = f"{len(run.turns)} turns of {len(settings['scenarios'])} scenarios"
    lines = [engines, asked, *Machine.describe(run.machine).splitlines()]
    return "<p>" + "<br>".join(html.escape(line) for line in lines) + "</p>" + (
        "<p class=quiet>The faces and voices here are made by machines. Error rates are WER, in "
        "Chinese CER, after case, punctuation and the width of characters are left out. The RMSE "
        "of pitch is that between the quantiles of a reply and of the voice's sample, since their "
        "texts differ. Sound before lips: where lips and loudness correlate best.</p>"
    )  # fmt: skip


def _baseline(found: Sequence[Compared]) -> str:
    if not found:
        return ""
    n_worse = sum(one.is_regression for one in found)
    said = f"regressions: {n_worse}" if n_worse else "no regression"
    ordered = sorted(found, key=lambda one: not one.is_regression)
    rows = [one.row() for one in ordered]
    return f"<h2>Against the baseline, {said}</h2>{_table(HEADER, rows, n_bad=n_worse)}"


def _summary(summary: Mapping[str, Mapping[str, float]]) -> str:
    """Quality by language, and times by how the question was asked."""
    times = [name for name in ASKED if name in summary]
    others = [name for name in summary if name not in (ALL, *times)]
    parts = ["<h2>Figures</h2>"]
    if others:
        parts.append(
            "<p>Means by language, and of the turns after a change of language; of the lips' "
            f"offset medians.</p>{_table(*columns_of(summary, others))}"
        )
    if times:
        table = _table(*columns_of(summary, times))
        parts.append(f"<p>Times by how the question was asked, medians.</p>{table}")
    return "".join(parts)


def columns_of(
    summary: Mapping[str, Mapping[str, float]], groups: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """The groups of a summary side by side: header and rows of a table."""
    keys = dict.fromkeys(key for name in groups for key in summary[name])
    rows = [
        [metric_of(key).heading, *(metric_of(key).shown(summary[n].get(key)) for n in groups)]
        for key in keys
    ]
    return ["figure", *groups], rows


def _missing(missing: Sequence[Mapping[str, Any]]) -> str:
    if not missing:
        return ""
    rows = [
        [metric_of(one["metric"]).title, ", ".join(one["languages"]), one["reason"]]
        for one in missing
    ]
    head = ("figure", "languages", "why")
    return f"<h2>What this profile cannot give</h2>{_table(head, rows)}"


def _drawing(title: str, figure: Any) -> str:
    return f"<h2>{html.escape(title)}</h2>{svg_of(figure, title)}"


def _voices(references: Mapping[str, Reference]) -> str:
    players = {
        name: (one.audio, ", ".join(of for of, other in references.items() if other.name == name))
        for name, one in ((one.name, one) for one in references.values())
    }
    said = "".join(
        f"<dt>{html.escape(f'{languages}: {name}')}<dd>"
        + _audio(wav(audio.samples, audio.sample_rate_hz))
        for name, (audio, languages) in players.items()
    )
    return f"<h2>The voice's samples</h2><dl>{said}</dl>"


def _turn(turn: Judged) -> str:
    language = turn.place.line.language
    title = html.escape(f"{turn.place.name}: {language}, asked {turn.asked}")
    if turn.error:
        return f"<article><h3>{title}</h3><p class=bad>{html.escape(turn.error)}</p></article>"
    return (
        f"<article><h3>{title}</h3><div>{_video(turn.video)}</div>"
        f"<div><dl>{_words(turn)}</dl>{_turn_figures(turn)}</div></article>"
    )


def _words(turn: Judged) -> str:
    player = _audio(turn.question) if turn.question else ""
    line = turn.place.line
    said = [("asked", line.language, line.text, player)]
    if turn.asked == "aloud":
        said.append(("heard", line.language, turn.turn["user_text"], ""))
    said.append((f"answered, in {turn.spoken}", turn.spoken, turn.turn["response_text"], ""))
    if turn.reply_heard:
        said.append(("the answer as the ASR hears it", turn.spoken, turn.reply_heard, ""))
    return "".join(
        f"<dt>{html.escape(name)}<dd lang={html.escape(language)}>{html.escape(text)}{more}"
        for name, language, text, more in said
    )


def _turn_figures(turn: Judged) -> str:
    rate = error_rate_name(turn.spoken)
    cells = [
        (f"{m.title} ({rate})" if m.key.endswith("error_rate") else m.title, m)
        for m in METRICS
        if m.key in turn.figures
    ]
    rows = [[name, f"{m.shown(turn.figures[m.key])} {m.unit}".strip()] for name, m in cells]
    half = (len(rows) + 1) // 2
    tables = "".join(f"<div>{_table((), part)}</div>" for part in (rows[:half], rows[half:]))
    return f'<div style="display: flex; gap: 2rem; flex-wrap: wrap">{tables}</div>'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], n_bad: int = 0) -> str:
    """Numbers to the right, words to the left; the first ``n_bad`` rows stand out."""
    is_words = [all(_is_words(row[at]) for row in rows) for at in range(len(header))]
    head = "".join(
        f"<th scope=col{_WORDS if words else ''}>{html.escape(name)}"
        for name, words in zip(header, is_words, strict=True)
    )
    body = "".join(
        f"<tr{' class=bad' if n < n_bad else ''}>" + "".join(_cell(text) for text in row)
        for n, row in enumerate(rows)
    )
    return f"<div class=scroll><table><thead><tr>{head}</thead><tbody>{body}</tbody></table></div>"


def _cell(text: str) -> str:
    return f"<td{_WORDS if _is_words(text) else ''}>{html.escape(text)}"


def _is_words(text: str) -> bool:
    return not (text[:1].isdigit() or text[:1] in "-±+")


def _audio(data: bytes) -> str:
    return f'<audio controls preload="none" src="{_data_uri(data, "audio/wav")}"></audio>'


def _video(data: bytes) -> str:
    return f'<video controls preload="metadata" src="{_data_uri(data, "video/mp4")}"></video>'


def _data_uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"

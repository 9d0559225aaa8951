"""A run as one HTML file that loads nothing: verdicts, figures, drawings, and every turn with its
sound and video to play."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import Machine
from benchmarks.plot_page import svg_of
from benchmarks.quality_baseline import ALL, HEADER, Compared, metric_of
from benchmarks.quality_metrics import METRICS, Metric, error_rate_name
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
th:first-child, td:first-child, td.words { text-align: left }
.scroll { overflow-x: auto }
.bad { color: #a00000; font-weight: bold }
.quiet { color: #555 }
article { display: grid; grid-template-columns: 15rem 1fr; gap: 1.2rem; padding: 1rem 0;
  border-bottom: 1px solid #ddd }
article h3 { margin: 0; grid-column: 1 / -1 }
article video { width: 15rem; background: #eee }
audio { display: block; height: 2rem; margin: .2rem 0 }
dt { font-size: .8rem; color: #555 } dd { margin: 0 0 .5rem }
@media (max-width: 40rem) { article { grid-template-columns: 1fr } }
"""


@dataclass(frozen=True, slots=True)
class Run:
    """All that a report shows. ``result`` and ``machine`` make the run's JSON; ``compared`` is
    empty without a baseline."""

    result: Mapping[str, Any]
    machine: Mapping[str, Any]
    turns: Sequence[Judged]
    references: Mapping[str, Reference]
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
        f"<style>{_STYLE}</style>\n" + "\n".join(part for part in parts if part) + "\n</html>\n"
    )


def _facts(run: Run) -> str:
    settings = run.result["settings"]
    engines = ", ".join(f"{stage} {name}" for stage, name in run.result["engines"].items())
    asked = f"{len(run.turns)} turns of {len(settings['scenarios'])} scenarios"
    lines = [engines, asked, Machine.describe(run.machine)]
    return "<p>" + "<br>".join(html.escape(line) for line in lines) + "</p>" + (
        '<p class=quiet>The faces and voices here are made by machines. Error rates are WER, in '
        "Chinese CER, after case, punctuation and the width of characters are left out.</p>"
    )  # fmt: skip


def _baseline(found: Sequence[Compared]) -> str:
    if not found:
        return ""
    n_worse = sum(one.is_regression for one in found)
    said = f"{n_worse} regressions" if n_worse else "No regression"
    rows = [(one.row(), "bad" if one.is_regression else "") for one in found]
    rows.sort(key=lambda row: row[1] != "bad")
    return f"<h2>Against the baseline: {said}</h2>{_table(HEADER, rows)}"


def _summary(summary: Mapping[str, Mapping[str, float]]) -> str:
    """Quality by language in columns; times, which belong to all turns, in a table of their own."""
    times = [(_row(metric_of(key), [value]), "") for key, value in summary[ALL].items()]
    groups = [name for name in summary if name != ALL]
    keys = dict.fromkeys(key for name in groups for key in summary[name])
    rows = [(_row(metric_of(k), [summary[name].get(k) for name in groups]), "") for k in keys]
    return (
        "<h2>Figures</h2><p>Means by language, and of the turns after a change of language; "
        f"of the lips' offset medians.</p>{_table(('', *groups), rows)}"
        f"<p>Times: medians of all turns.</p>{_table(('', 'p50'), times)}"
    )


def _row(metric: Metric, values: Sequence[float | None]) -> list[str]:
    title = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
    return [title, *(metric.shown(value) for value in values)]


def _missing(missing: Sequence[Mapping[str, Any]]) -> str:
    if not missing:
        return ""
    rows = [
        ([metric_of(one["metric"]).title, ", ".join(one["languages"]), one["reason"]], "")
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
    title = html.escape(f"{turn.place.name}, {language}, asked by {turn.asked}")
    if turn.error:
        return f"<article><h3>{title}</h3><p class=bad>{html.escape(turn.error)}</p></article>"
    return (
        f"<article><h3>{title}</h3><div>{_video(turn.video)}</div>"
        f"<div><dl>{_words(turn)}</dl>{_turn_figures(turn)}</div></article>"
    )


def _words(turn: Judged) -> str:
    player = _audio(turn.question) if turn.question else ""
    said = [("asked", turn.place.line.text, player)]
    if turn.asked == "speech":
        said.append(("heard", turn.turn["user_text"], ""))
    said.append((f"answered, in {turn.spoken}", turn.turn["response_text"], ""))
    if turn.reply_heard:
        said.append(("the answer as the ASR hears it", turn.reply_heard, ""))
    return "".join(
        f"<dt>{html.escape(name)}<dd>{html.escape(text)}{more}" for name, text, more in said
    )


def _turn_figures(turn: Judged) -> str:
    rate = error_rate_name(turn.spoken)
    cells = [
        (f"{m.title} ({rate})" if m.key.endswith("error_rate") else m.title, m)
        for m in METRICS
        if m.key in turn.figures
    ]
    rows = [([name, f"{m.shown(turn.figures[m.key])} {m.unit}".strip()], "") for name, m in cells]
    half = (len(rows) + 1) // 2
    tables = "".join(f"<div>{_table((), part)}</div>" for part in (rows[:half], rows[half:]))
    return f'<div style="display: flex; gap: 2rem; flex-wrap: wrap">{tables}</div>'


def _table(header: Sequence[str], rows: Sequence[tuple[Sequence[str], str]]) -> str:
    """``rows``: cells, and the class of the line."""
    head = "".join(f"<th scope=col>{html.escape(name)}" for name in header)
    body = "".join(
        f'<tr class="{name}">' + "".join(_cell(cell) for cell in cells) for cells, name in rows
    )
    return f"<div class=scroll><table><thead><tr>{head}</thead><tbody>{body}</tbody></table></div>"


def _cell(text: str) -> str:
    is_number = text[:1].isdigit() or text[:1] in "-±+"
    return f"<td{'' if is_number else ' class=words'}>{html.escape(text)}"


def _audio(data: bytes) -> str:
    return f'<audio controls preload="none" src="{_data_uri(data, "audio/wav")}"></audio>'


def _video(data: bytes) -> str:
    return f'<video controls preload="metadata" src="{_data_uri(data, "video/mp4")}"></video>'


def _data_uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"

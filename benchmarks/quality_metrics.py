"""What is measured of every turn, how much worse it may become, and what a profile cannot give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.quality_server import Served
from benchmarks.quality_text import CHARACTER_LANGUAGES
from benchmarks.quality_voice import why_no_embedding, why_no_pitch
from deployments.avatar.portraits import builtin_portraits

Better = Literal["lower", "higher", "same"]
Kind = Literal["time", "words", "voice", "lips"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a turn.

    ``allowed`` and ``allowed_share`` (of the baseline's value) are how far it may go in the wrong
    direction before that is a regression; the larger of the two counts. Two runs of the embedded
    profile agreed in all but times; those differed by up to 63 ms and 22 % where they are long, by
    10 ms where they are short, on two cores with other work (2026-11-21, load average 6 to 16).
    """

    key: str
    title: str
    unit: str
    digits: int
    kind: Kind
    better: Better
    allowed: float
    allowed_share: float = 0.0

    @property
    def heading(self) -> str:
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def threshold(self) -> str:
        """How far it may go, in words."""
        sign = {"lower": "+", "higher": "-", "same": "±"}[self.better]
        parts = [f"{sign}{self.allowed:g} {self.unit}".strip()] if self.allowed else []
        parts += [f"{sign}{self.allowed_share:.0%}"] if self.allowed_share else []
        return " or ".join(parts) or "none"

    def is_worse(self, now: float, before: float) -> bool:
        slack = max(self.allowed, self.allowed_share * abs(before))
        change = now - before
        worse_by = {"lower": change, "higher": -change, "same": abs(change)}[self.better]
        return worse_by > slack + 1e-9  # on the threshold is not past it

    def shown(self, value: float | None) -> str:
        return "-" if value is None else f"{value:.{self.digits}f}"


def _time(key: str, title: str) -> Metric:
    return Metric(key, title, "ms", 0, "time", "lower", 50.0, 0.5)


METRICS = (
    _time("decode_ms", "decode"),
    _time("asr_ms", "ASR"),
    _time("llm_first_token_ms", "LLM, first token"),
    _time("llm_ms", "LLM, whole"),
    _time("tts_first_audio_ms", "TTS, first audio"),
    _time("avatar_first_frame_ms", "avatar, first frames"),
    _time("ttfa_ms", "first sound ready (TTFA)"),
    _time("ttff_ms", "first video ready (TTFF)"),
    Metric("rtf", "turn over speech (RTF)", "", 3, "time", "lower", 0.02, 0.5),
    Metric("question_error_rate", "question misheard", "", 3, "words", "lower", 0.05),
    Metric("reply_error_rate", "reply misheard", "", 3, "words", "lower", 0.05),
    Metric("reply_language_right", "reply's language right", "", 2, "words", "higher", 0.0),
    Metric("speech_language_right", "speech's language right", "", 2, "words", "higher", 0.0),
    Metric("speaker_similarity", "speaker similarity", "", 3, "voice", "higher", 0.05),
    Metric("f0_mean_hz", "pitch, mean", "Hz", 1, "voice", "same", 5.0, 0.05),
    Metric("f0_rmse_hz", "pitch, RMSE to the sample", "Hz", 1, "voice", "lower", 5.0),
    Metric("av_offset_ms", "sound before lips", "ms", 0, "lips", "same", 30.0),
    Metric("lip_correlation", "lips and loudness, r", "", 3, "lips", "higher", 0.1),
)
"""Error rates are WER, in Chinese CER; languages are 1 where right and 0 where not."""

BY_KEY: Mapping[str, Metric] = {metric.key: metric for metric in METRICS}

_NEEDS_REAL = {
    "question_error_rate": ("asr",),
    "reply_error_rate": ("asr", "tts"),
    "reply_language_right": ("llm",),
    "speech_language_right": ("asr", "tts"),
    "speaker_similarity": ("tts",),
    "f0_mean_hz": ("tts",),
    "f0_rmse_hz": ("tts",),
    "av_offset_ms": ("tts", "avatar"),
    "lip_correlation": ("tts", "avatar"),
}


@dataclass(frozen=True, slots=True)
class Missing:
    """A metric that a profile cannot give for these languages, and why."""

    metric: str
    languages: tuple[str, ...]
    reason: str

    def json(self) -> dict[str, str | list[str]]:
        return {"metric": self.metric, "languages": [*self.languages], "reason": self.reason}


def why_not(metric: str, language: str, served: Served) -> str:
    """Why a profile cannot give a metric for turns of a language; empty where it can."""
    fakes = [stage for stage in _NEEDS_REAL.get(metric, ()) if served.is_fake(stage)]
    if fakes:
        return f"fake engine: {', '.join(fakes)}"
    if metric in ("question_error_rate", "reply_error_rate") and not served.hears(language):
        known = ", ".join(served.languages["asr"]) or "nothing"
        return f"its ASR ({served.engines['asr']}) knows {known}; questions are asked in writing"
    if metric == "speech_language_right" and not served.detects_language:
        return f"its ASR ({served.engines['asr']}) knows one language and detects none"
    if metric == "speaker_similarity":
        return why_no_embedding()
    if metric in ("f0_mean_hz", "f0_rmse_hz"):
        return why_no_pitch()
    if metric in ("av_offset_ms", "lip_correlation"):
        return _why_no_lips(served)
    return ""


def _why_no_lips(served: Served) -> str:
    known = {portrait.id for portrait in builtin_portraits()}
    return "" if served.avatar_id in known else f"no landmarks of the face {served.avatar_id!r}"


def missing_of(served: Served, languages: Sequence[str]) -> list[Missing]:
    """All that the profile cannot give, languages with the same reason together."""
    found = []
    for metric in METRICS:
        by_reason: dict[str, list[str]] = {}
        for language in languages:
            if reason := why_not(metric.key, language, served):
                by_reason.setdefault(reason, []).append(language)
        found += [Missing(metric.key, tuple(of), why) for why, of in by_reason.items()]
    return found


def error_rate_name(language: str) -> str:
    """What an error rate is called in a language."""
    return "CER" if language in CHARACTER_LANGUAGES else "WER"

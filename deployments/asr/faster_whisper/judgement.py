"""Was that speech, or did the model make it up? Pure.

Whisper writes something for any sound: "Thank you." for silence, lyrics for music, the same word a
hundred times for noise. Four witnesses are heard:

1. the VAD, before the model: too little speech in a recording, and the model hears nothing of it;
2. the text: what zlib makes much smaller is a loop, and dropped if it is one at every temperature;
3. how sure the model was of its tokens. Where it was not, the text is dropped if another doubts it:
4. the model's own token for "no speech", or the VAD, by speech in less than half of the window.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from deployments.asr.faster_whisper.settings import JudgementSettings
from deployments.asr.faster_whisper.windows import Span


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the model wrote for a window, and how sure it was.

    ``log_prob``: mean of a token, natural logarithm. ``no_speech_prob``: from 0 to 1.
    """

    text: str
    log_prob: float
    no_speech_prob: float

    @property
    def compression_ratio(self) -> float:
        """Of the text's UTF-8 to what zlib makes of it; 0 of nothing."""
        raw = self.text.strip().encode()
        return len(raw) / len(zlib.compress(raw))


def is_worth_hearing(
    spans: Sequence[Span], sample_rate_hz: int, settings: JudgementSettings
) -> bool:
    """Whether there is enough speech in a recording to give it to the model at all."""
    n_speech = sum(end - start for start, end in spans)
    return n_speech >= max(1, settings.min_speech_s * sample_rate_hz)


def needs_another_try(evidence: Evidence, settings: JudgementSettings) -> bool:
    """Whether a higher temperature may do better: a loop, or tokens of which it was not sure.

    Not where the model itself says that nobody speaks. Source: Radford et al. 2022, section 4.5.
    """
    if _is_loop(evidence, settings):
        return True
    return _is_unsure(evidence, settings) and not _says_nobody_speaks(evidence, settings)


def better(evidences: Sequence[Evidence], settings: JudgementSettings) -> int:
    """Which of several tries to keep: the surest one that is no loop, or else the surest."""
    return max(
        range(len(evidences)),
        key=lambda i: (not _is_loop(evidences[i], settings), evidences[i].log_prob),
    )


def is_speech(
    evidence: Evidence, speech_share: float, prompt: str, settings: JudgementSettings
) -> bool:
    """Whether what was kept is what somebody said.

    Args:
        speech_share: of the window; see ``Window``.
        prompt: what the model was told before it heard, and repeats where it hears nothing.
    """
    text = _letters(evidence.text)
    if not text or text == _letters(prompt) or _is_loop(evidence, settings):
        return False
    is_doubted = _says_nobody_speaks(evidence, settings) or speech_share < settings.min_speech_share
    return not (_is_unsure(evidence, settings) and is_doubted)


def _is_loop(evidence: Evidence, settings: JudgementSettings) -> bool:
    return evidence.compression_ratio > settings.compression_ratio


def _is_unsure(evidence: Evidence, settings: JudgementSettings) -> bool:
    return evidence.log_prob < settings.log_prob


def _says_nobody_speaks(evidence: Evidence, settings: JudgementSettings) -> bool:
    return evidence.no_speech_prob > settings.no_speech_prob


def _letters(text: str) -> str:
    """What is spoken of a text."""
    return "".join(character for character in text.casefold() if character.isalnum())

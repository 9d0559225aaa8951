"""Is this recording good enough to copy a voice from? If not, what to record better.

The lengths are the interface's. The other limits are from own measurements with Silero's detector
on espeak's voices, three sentences each of English, Chinese and Spanish (2026-11-21): clean, as MP3
and Opus, and with noise, music, clipping and loudness that were known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.errors import UnusableInputError
from deployments.types import AudioChunk
from deployments.vad.engine import VadEngine, speech_chunks

MIN_S, MAX_S = 6.0, 30.0  # Source: API.md
RATE_HZ = 48_000  # of what is judged and kept: no engine wants more
_ROUNDING_S = 0.1  # codecs cut off or add as much

# Fluent reading was speech to 82-85 %, 2 s of it in 8 s of music to 22-25 %; 4 s of speech are what
# the shortest sample has that pauses for twice as long as espeak does.
MIN_SPEECH_S = 4.0
MIN_SPEECH_SHARE = 0.5
# Of the loudest syllables: 5 dB more than all of the speech, which is at -26 dB in a recording of
# ordinary level (ITU-T P.56). Beside a microphone's own noise (-70 dB), 19 dB of it are left here.
MIN_LEVEL_DB = -45.0
# From 30 to 5 dB, found to within 0.5 dB of the truth in white noise, 1.3 in pink, 3 in music.
# Music of the speech's loudness that plays for 2 of 10 s counts 3 to 5 dB.
MIN_SNR_DB = 15.0
# Of the samples in which somebody speaks: 3 dB too loud, 0.06-0.35 %; 6 dB, 0.4-1.8 %; else none.
# After MP3 it is a tenth to a fifth of that.
MAX_CLIPPED_SHARE = 1e-3
_FULL = 0.985  # from here on a sample may have been cut off

_LOUD_PERCENTILE = 95.0
_QUIET_PERCENTILE = 5.0
_MIN_PAUSES = 8  # chunks: a quarter of a second tells what the room sounds like
_SILENCE = 1e-12  # of power, -120 dB: below the last bit of 16

Powers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """What was found. ``level_db`` is that of the speech, in dB of full scale; ``snr_db`` its
    distance from what is heard in the pauses."""

    duration_s: float
    speech_s: float
    level_db: float
    snr_db: float
    clipped_share: float


def check_length(duration_s: float) -> None:
    """Raise if a sample is too short or too long.

    Raises:
        UnusableInputError: ``too_short`` or ``too_long``.
    """
    if duration_s < MIN_S - _ROUNDING_S:
        raise UnusableInputError(
            f"The sample is {duration_s:.1f} s long. Speak for {MIN_S:g} to {MAX_S:g} s: three or "
            "four sentences, read aloud.",
            code="too_short",
        )
    if duration_s > MAX_S + _ROUNDING_S:
        raise too_long()


def too_long() -> UnusableInputError:
    """The error of a sample that nobody has to hear to its end."""
    return UnusableInputError(
        f"The sample is longer than {MAX_S:g} s. Cut out {MIN_S:g} to {MAX_S:g} s in which the "
        "voice is at its clearest.",
        code="too_long",
    )


def judge(audio: AudioChunk, vad: VadEngine, threshold: float) -> SampleFacts:
    """What a sample is like, if a voice can be copied from it. Blocks: 0.3 s for 30 s of sound.

    Args:
        audio: mono, at ``RATE_HZ``.
        threshold: of the VAD's probability of speech.

    Raises:
        UnusableInputError: ``too_short``, ``too_long``, ``invalid_value`` (too quiet),
            ``no_speech``, ``clipped`` or ``too_noisy``; what to do is in the message.
    """
    check_length(audio.duration_s)
    chunks = _chunked(audio, vad)
    powers = np.mean(np.square(chunks, dtype=np.float64), axis=1)
    _check_loudness(powers)
    is_speech = speech_chunks(vad, audio, threshold)[: len(powers)]
    chunk_s = vad.chunk_samples / vad.sample_rate_hz
    _check_speech(np.count_nonzero(is_speech) * chunk_s, audio.duration_s)
    facts = SampleFacts(
        duration_s=audio.duration_s,
        speech_s=float(np.count_nonzero(is_speech) * chunk_s),
        level_db=_db(np.mean(powers[is_speech])),
        snr_db=_snr_db(powers, is_speech),
        clipped_share=float(np.mean(np.abs(chunks[is_speech]) >= _FULL)),
    )
    _check_clean(facts)
    return facts


def _chunked(audio: AudioChunk, vad: VadEngine) -> NDArray[np.float32]:
    """(n_chunks, n) float32: the sound in the VAD's steps, without the rest that fills none."""
    n = vad.chunk_samples * audio.sample_rate_hz // vad.sample_rate_hz
    n_chunks = len(audio.samples) // n
    return audio.samples[: n_chunks * n].reshape(n_chunks, n)


def _check_loudness(powers: Powers) -> None:
    """Before anything else: what is too quiet is not heard well by a detector either."""
    level_db = _db(np.percentile(powers, _LOUD_PERCENTILE))
    if level_db < MIN_LEVEL_DB:
        raise UnusableInputError(
            f"The sample is too quiet ({max(level_db, -99):.0f} dB of full scale). Check that the "
            "right microphone is on, turn it up, and speak a hand's width away from it."
        )


def _check_speech(speech_s: float, duration_s: float) -> None:
    if speech_s >= max(MIN_SPEECH_S, MIN_SPEECH_SHARE * duration_s):
        return
    heard = f"Only {speech_s:.1f} of its {duration_s:.1f} s are" if speech_s else "None of it is"
    raise UnusableInputError(
        f"{heard} speech. Record {MIN_S:g} to {MAX_S:g} s in which one person speaks all the time, "
        "without music or other voices.",
        code="no_speech",
    )


def _check_clean(facts: SampleFacts) -> None:
    if facts.clipped_share > MAX_CLIPPED_SHARE:
        raise UnusableInputError(
            f"The sample is clipped: {facts.clipped_share:.1%} of the speech is cut off at full "
            "scale. Turn the microphone down, or speak further away from it.",
            code="clipped",
        )
    if facts.snr_db < MIN_SNR_DB:
        raise UnusableInputError(
            f"The speech is only {max(facts.snr_db, 0):.0f} dB louder than what is heard between "
            f"the words; it should be {MIN_SNR_DB:g}. Record in a quiet room, without music, close "
            "to the microphone.",
            code="too_noisy",
        )


def _snr_db(powers: Powers, is_speech: NDArray[np.bool_]) -> float:
    """Speech over the room: the room is what most pauses are like or, where there are hardly any,
    the quietest moments."""
    pauses = powers[~is_speech]
    if len(pauses) >= _MIN_PAUSES:
        room = float(np.median(pauses))
    else:
        room = float(np.percentile(powers, _QUIET_PERCENTILE))
    speech = float(np.mean(powers[is_speech])) - room
    return _db(speech) - _db(room)


def _db(power: float | np.floating) -> float:
    return float(10 * np.log10(max(float(power), _SILENCE)))

"""Sounds that are speech, and sounds that are not."""

from functools import cache
from itertools import count

import numpy as np

from deployments.registry import load_engine
from deployments.resample import resampled
from deployments.types import AudioChunk, ReplySentence, Samples

RATE_HZ = 16_000
SENTENCES = (
    "What time does the library open on Saturday morning?",
    "My name is Margaret and I live near the river.",
    "The weather was cold, so we stayed home and made soup.",
    "How many people can sit at this table?",
    "Every student should read at least one book this month.",
    "Please turn off the lights before you leave the room.",
    "The museum is closed on Mondays.",
)


def seconds(duration_s: float) -> Samples:
    """(n,) the time of each sample."""
    return (np.arange(round(duration_s * RATE_HZ)) / RATE_HZ).astype(np.float32)


@cache
def talk(duration_s: float, first: int = 0) -> Samples:
    """So many seconds of espeak's voice, from the sentence ``first`` on, read-only.

    espeak itself pauses between sentences, for less than half a second.
    """
    parts: list[Samples] = []
    left = round(duration_s * RATE_HZ)
    for i in count(first):
        parts.append(_said(SENTENCES[i % len(SENTENCES)])[:left])
        left -= len(parts[-1])
        if left <= 0:
            break
    sound = np.concatenate(parts)
    sound.flags.writeable = False
    return sound


@cache
def _said(text: str) -> Samples:
    tts = load_engine("tts", "espeak", {})
    blocks = list(tts.speak(ReplySentence(0, text, True), "en", None))
    whole = np.concatenate([block.audio.samples for block in blocks])
    return resampled(AudioChunk(whole, blocks[0].audio.sample_rate_hz), RATE_HZ).samples


def vocalise(duration_s: float) -> Samples:
    """A gliding voice without words, three times a second, its formants moving.

    Silero takes bits of it for speech.
    """
    t = seconds(duration_s)
    pitch_hz = 120 + 15 * np.sin(2 * np.pi * 0.6 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    formant_hz = 600 + 250 * np.sin(2 * np.pi * 1.7 * t)
    voice = np.zeros_like(t)
    for k in range(1, 25):
        low = np.exp(-(((k * 120 - formant_hz) / 300) ** 2))
        high = 0.3 * np.exp(-(((k * 120 - 1800) / 400) ** 2))
        voice += (low + high) * np.sin(k * phase)
    loud = voice * np.clip(np.sin(2 * np.pi * 3 * t), 0, None) ** 0.5
    return np.asarray(0.3 * loud / np.max(np.abs(loud)), np.float32)


def white_noise(duration_s: float, loud: float) -> Samples:
    """Equal power at all frequencies; ``loud`` is its standard deviation."""
    n = round(duration_s * RATE_HZ)
    return np.random.default_rng(1).normal(0, loud, n).astype(np.float32)


def pink_noise(duration_s: float, loud: float) -> Samples:
    """Power falling with frequency, as of wind, traffic and fans."""
    spectrum = np.fft.rfft(white_noise(duration_s, 1.0).astype(np.float64))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    sound = np.fft.irfft(spectrum, round(duration_s * RATE_HZ))
    return np.asarray(loud * sound / np.std(sound), np.float32)


def hum(duration_s: float) -> Samples:
    """Mains at 50 Hz with its harmonics."""
    t = seconds(duration_s)
    return np.asarray(
        sum(0.1 / k * np.sin(2 * np.pi * 50 * k * t) for k in range(1, 8)), np.float32
    )


def chords(duration_s: float) -> Samples:
    """Four chords of an organ, half a second each, again and again."""
    t = seconds(duration_s)
    sound = np.zeros_like(t)
    roots_hz = (220.0, 174.61, 261.63, 196.0)
    for i, start_s in enumerate(np.arange(0, duration_s, 0.5)):
        part = (t >= start_s) & (t < start_s + 0.5)
        for ratio in (1.0, 1.26, 1.5):
            hz = roots_hz[i % 4] * ratio
            tones = sum(np.sin(2 * np.pi * k * hz * t[part]) / k for k in range(1, 5))
            sound[part] += 0.05 * tones
    return sound


def melody(duration_s: float) -> Samples:
    """Plucked notes that die away, three a second."""
    t = seconds(duration_s)
    sound = np.zeros_like(t)
    notes_hz = (262, 294, 330, 392, 440, 392, 330, 294)
    for i, start_s in enumerate(np.arange(0, duration_s, 1 / 3)):
        after_s = t - start_s
        part = (after_s >= 0) & (after_s < 1 / 3)
        decay = np.exp(-6 * after_s[part])
        hz = notes_hz[i % len(notes_hz)]
        sound[part] += 0.3 * decay * np.sin(2 * np.pi * hz * after_s[part])
    return sound

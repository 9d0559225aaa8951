"""Phonemes to mouth shapes with coarticulation.

Each sound has a target shape and, for each control, a weight that says how much it insists on it;
a control follows the weighted mean of the sounds around, whose influence fades exponentially with
their distance in time. So a rounded vowel rounds the consonants before it, and a /k/ takes the
shape of its neighbours.

Source: the principle is that of M. Cohen and D. Massaro, "Modeling coarticulation in synthetic
visual speech" (1993); all values are ours, set by eye on the built-in face.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

US = 1_000_000  # times are whole microseconds, so that moving them between stretches is exact


class Sound(NamedTuple):
    """A phoneme on a clock of whole microseconds."""

    ipa: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Viseme:
    """``shape`` and ``weight`` are (7,): jaw, wide, round, press, raise, tuck, tongue."""

    shape: tuple[float, ...]
    weight: tuple[float, ...]


_VOWEL = (1.0, 0.9, 1.0, 1.0, 0.7, 1.0, 0.6)
_LIPS = (1.6, 0.35, 0.25, 3.0, 1.0, 3.0, 0.2)
_FRONT = (0.8, 0.35, 0.25, 1.0, 0.5, 1.0, 1.2)
_BACK = (0.3, 0.12, 0.1, 1.0, 0.2, 1.0, 0.3)
_ROUNDED = (0.9, 0.5, 1.4, 1.0, 0.6, 1.0, 0.4)
_PAUSE = (1.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)

#                                 jaw   wide  round press raise tuck  tongue
_TABLE: tuple[tuple[str, Viseme], ...] = (
    ("aɑɒʌäA", Viseme((0.86, 0.15, 0.00, 0.0, 0.20, 0.0, 0.10), _VOWEL)),
    ("æ", Viseme((0.80, 0.45, 0.00, 0.0, 0.30, 0.0, 0.15), _VOWEL)),
    (
        "ɐəɘɤᵊɵ",
        Viseme((0.42, 0.15, 0.05, 0.0, 0.15, 0.0, 0.15), (0.7, 0.4, 0.5, 1.0, 0.5, 1.0, 0.4)),
    ),
    ("ɛe", Viseme((0.52, 0.60, 0.00, 0.0, 0.30, 0.0, 0.20), _VOWEL)),
    ("ɪiɨᵻ", Viseme((0.24, 0.90, 0.00, 0.0, 0.32, 0.0, 0.25), _VOWEL)),
    ("ɯ", Viseme((0.24, 0.45, 0.00, 0.0, 0.20, 0.0, 0.20), _VOWEL)),
    ("ɔ", Viseme((0.70, -0.10, 0.50, 0.0, 0.10, 0.0, 0.05), _VOWEL)),
    ("o", Viseme((0.52, -0.20, 0.75, 0.0, 0.05, 0.0, 0.05), _VOWEL)),
    ("uʊ", Viseme((0.26, -0.30, 0.95, 0.0, 0.00, 0.0, 0.00), _VOWEL)),
    ("yʏøœɥ", Viseme((0.24, -0.15, 0.90, 0.0, 0.05, 0.0, 0.15), _ROUNDED)),
    ("ɜɝɚ", Viseme((0.40, 0.00, 0.35, 0.0, 0.15, 0.0, 0.25), _VOWEL)),
    ("wʍ", Viseme((0.16, -0.30, 1.00, 0.0, 0.00, 0.0, 0.00), _ROUNDED)),
    ("mpbɓ", Viseme((0.00, 0.05, 0.00, 1.0, 0.00, 0.0, 0.00), _LIPS)),
    ("βɸ", Viseme((0.06, 0.05, 0.10, 0.5, 0.00, 0.0, 0.00), _LIPS)),
    ("fvʋɱ", Viseme((0.10, 0.15, 0.00, 0.0, 0.45, 1.0, 0.00), _LIPS)),
    ("θð", Viseme((0.26, 0.25, 0.00, 0.0, 0.25, 0.0, 0.95), _FRONT)),
    ("tdnɗɖʈɳ", Viseme((0.20, 0.30, 0.00, 0.0, 0.25, 0.0, 0.80), _FRONT)),
    ("lɫɭɬʎ", Viseme((0.32, 0.25, 0.00, 0.0, 0.25, 0.0, 0.90), _FRONT)),
    ("szɕʑ", Viseme((0.13, 0.55, 0.00, 0.0, 0.45, 0.0, 0.45), _FRONT)),
    ("ʃʒʂʐ", Viseme((0.17, 0.00, 0.60, 0.0, 0.40, 0.0, 0.35), _ROUNDED)),
    ("ɹrɾɻʁ", Viseme((0.24, 0.05, 0.40, 0.0, 0.20, 0.0, 0.40), _FRONT)),
    ("jʝɲ", Viseme((0.20, 0.70, 0.00, 0.0, 0.25, 0.0, 0.35), _FRONT)),
    ("kɡgŋxɣhɦqχcɟʔç", Viseme((0.28, 0.20, 0.00, 0.0, 0.15, 0.0, 0.10), _BACK)),
)
_BY_LETTER = {letter: viseme for letters, viseme in _TABLE for letter in letters}
_SILENT = Viseme((0.0,) * 7, _PAUSE)
_VOWELS = frozenset("aɑɒʌäAæɐəɘɤᵊɵɛeɪiɨᵻɯɔouʊyʏøœɜɝɚ")
_CLOSED = frozenset("mpb")

# How fast the influence of a sound fades before and after it, in seconds, for each control:
# rounding is prepared long before, a closed lip is a short affair.
_FADE_S = np.array([0.045, 0.070, 0.085, 0.022, 0.055, 0.025, 0.040])
REACH_S = 0.6  # beyond it a sound has no influence, so that what must be remembered is bounded
_REST_WEIGHT = 0.02  # of the closed mouth that lies under everything
_CLOSURE_US = 26_000  # half of the least time that lips stay shut: one frame always falls into it


def segments(sound: Sound) -> list[tuple[Sound, Viseme]]:
    """The sounds inside one phoneme: a diphthong has two, an affricate two, most have one.

    Stress, length, tones, ties and language marks are not sounds; a phoneme with nothing else
    (and the empty one) is a pause.
    """
    letters = [c for c in _without_marks(sound.ipa) if c in _BY_LETTER]
    if not letters:
        return [(Sound("", sound.start_us, sound.end_us), _SILENT)]
    edges = [
        sound.start_us + (sound.end_us - sound.start_us) * i // len(letters)
        for i in range(len(letters) + 1)
    ]
    return [
        (Sound(letter, edges[i], edges[i + 1]), _BY_LETTER[letter])
        for i, letter in enumerate(letters)
    ]


def emphasis(sound: Sound) -> float:
    """0..1 how much a phoneme makes a speaker nod: long and stressed vowels do.

    Not every synthesiser marks stress, but all of them lengthen what they stress.
    """
    if not any(c in _VOWELS for c in sound.ipa):
        return 0.0
    length_ms = min(sound.end_us - sound.start_us, 300_000) / 1000
    return min(1.0, max(0.0, (length_ms - 60) / 140) + 0.35 * ("ˈ" in sound.ipa))


def shapes(
    sounds: Sequence[Sound], times_us: NDArray[np.int64], context_us: int
) -> NDArray[np.float64]:
    """(n, 7) mouth controls at ``times_us`` (n,), heard no further than ``context_us`` ahead.

    The result at one time depends only on the sounds that start before its horizon, so it is the
    same whether more is known or not.
    """
    parts = [part for sound in sounds for part in segments(sound)]
    if not parts:
        return np.zeros((len(times_us), 7))
    start = np.array([p.start_us for p, _ in parts], dtype=np.int64)[None]
    end = np.array([p.end_us for p, _ in parts], dtype=np.int64)[None]
    now = times_us[:, None]
    heard = start < now + context_us
    away_s = np.maximum(np.maximum(start - now, now - end), 0) / US  # (n, sounds)
    target = np.array([v.shape for _, v in parts])
    insist = np.array([v.weight for _, v in parts])
    heard &= away_s < REACH_S
    weight = np.exp(-away_s[..., None] / _FADE_S) * insist * heard[..., None]
    mixed: NDArray[np.float64] = np.einsum("tsc,sc->tc", weight, target)
    mixed /= weight.sum(axis=1) + _REST_WEIGHT
    return _shut_lips(mixed, [p for p, _ in parts], times_us, context_us)


def _shut_lips(
    mixed: NDArray[np.float64],
    parts: Sequence[Sound],
    times_us: NDArray[np.int64],
    context_us: int,
) -> NDArray[np.float64]:
    """Close the lips wholly on p, b and m: a mean of neighbours would leave them ajar."""
    for part in parts:
        if part.ipa not in _CLOSED:
            continue
        centre = (part.start_us + min(part.end_us, part.start_us + 120_000)) // 2
        half = max(_CLOSURE_US, (min(part.end_us, part.start_us + 120_000) - part.start_us) // 2)
        away_s = np.maximum(np.abs(times_us - centre) - half, 0) / US
        shut = np.exp(-((away_s / 0.030) ** 2)) * (part.start_us < times_us + context_us)
        mixed[:, 0] *= 1 - shut
        mixed[:, 4] *= 1 - shut
        mixed[:, 3] = np.maximum(mixed[:, 3], shut)
    return mixed


def _without_marks(ipa: str) -> str:
    """Drop what stands in brackets: espeak marks a change of language as ``(en)``."""
    kept, depth = [], 0
    for letter in ipa:
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            kept.append(letter)
    return "".join(kept)

"""What the diffusion is told of each frame: sound, emotion, eyes and the shape of the face.

Source: layout of the published checkpoint (goldens 03, 19).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.vector import FloatArray, Info, to_vector

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise", "contempt")
_EMOTION_LOGIT = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Character:
    """A face, as the motion model sees it: a portrait (one frame) or a video of c frames.

    ``infos``: c times the parts of ``vector.py`` with ``kp``. ``eye_open`` (c, 2) and ``eye_ball``
    (c, 6) float32; ``shape`` (63,): the key points of the first frame.
    """

    infos: Sequence[Info]
    eye_open: FloatArray
    eye_ball: FloatArray
    shape: FloatArray

    @property
    def is_video(self) -> bool:
        return len(self.infos) > 1

    def info(self, frame: int) -> Info:
        """Of the source's frame that is shown with an output frame, forth and back again."""
        return self.infos[int(mirrored(np.array(frame), len(self.infos)))]

    def vector(self) -> FloatArray:
        """(265,) of the first frame: where motion starts."""
        return to_vector(self.infos[0])


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """Rows for any frame. ``emotion`` (m, 8) is used cyclically; ``eyes_of_first``: the eyes of
    the first source frame throughout; ``parts``: those that the checkpoint was trained with."""

    character: Character
    emotion: FloatArray
    eyes_of_first: bool = False
    parts: Sequence[str] = ("emotion", "eye_open", "eye_ball", "shape")

    def rows(self, features: FloatArray, first_frame: int) -> FloatArray:
        """(n, 1103) of the sound's features (n, 1024). ``first_frame`` may be negative: before
        the first frame it is as at the first."""
        frames = np.maximum(np.arange(len(features)) + first_frame, 0)
        n_sources = 1 if self.eyes_of_first else len(self.character.infos)
        sources = mirrored(frames, n_sources)
        parts = {
            "emotion": self.emotion[frames % len(self.emotion)],
            "eye_open": self.character.eye_open[sources],
            "eye_ball": self.character.eye_ball[sources],
            "shape": np.broadcast_to(self.character.shape, (len(frames), 63)),
        }
        chosen = [parts[name] for name in self.parts]
        return np.concatenate((features, *chosen), axis=1, dtype=np.float32)


def mirrored(frame: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Index of the source frame: 0 .. count-1, count-1 .. 0, and so on; the ends come twice."""
    at = frame % (2 * count)
    return np.asarray(np.minimum(at, 2 * count - 1 - at), dtype=np.int64)


def emotion_of(labels: Sequence[int]) -> FloatArray:
    """(8,) weights of one or more labels, numbered as in ``EMOTIONS``, in equal parts."""
    logits = np.zeros(len(EMOTIONS))
    logits[list(labels)] = _EMOTION_LOGIT
    odds = np.exp(logits - logits.max())
    return np.asarray(odds / odds.sum(), dtype=np.float32)


def smoothed(infos: Sequence[Info], width: int) -> list[dict[str, FloatArray]]:
    """Every part of a video's frames, averaged over ``width`` (odd) of them, fewer at the ends."""
    half, n = width // 2, len(infos)
    spans = [range(max(i - half, 0), min(i + half + 1, n)) for i in range(n)]
    return [
        {key: np.mean([infos[j][key] for j in span], axis=0, dtype=np.float32) for key in infos[0]}
        for span in spans
    ]

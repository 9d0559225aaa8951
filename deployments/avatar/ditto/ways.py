"""The two ways of moving, live and offline: what each needs beside a portrait and its sound."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from deployments.avatar.ditto.blink import blink_rows
from deployments.avatar.ditto.condition import Character, Conditions
from deployments.avatar.ditto.controls import BLINK_RATE, emotion, stitching
from deployments.avatar.ditto.features import Chunk, Features, Hubert, sparing
from deployments.avatar.ditto.motion import MotionPath, frames_ahead
from deployments.avatar.ditto.published_config import Published
from deployments.avatar.ditto.stitcher import (
    Blinks,
    Controls,
    Stitcher,
    StitchNet,
    StitchSettings,
    scale_ratio,
)
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.windows import Windows


@dataclass(frozen=True, slots=True, eq=False)
class Wishes:
    """What a stretch asks of its face. ``controls``: all of ``controls.CONTROLS``. ``emotion``
    (m, 8) instead of the configuration's, where given. ``fades``: controls by frame."""

    controls: Mapping[str, float]
    emotion: FloatArray | None
    fades: Mapping[int, Controls]


class Way:
    """One of the two, of a checkpoint whose networks hear with ``hear``. ``maker`` tells it from
    those that move otherwise: by other settings, or as ``origin`` says, of another checkpoint."""

    def __init__(self, asked: Published, hear: Hubert, stitch: StitchNet, origin: str) -> None:
        self.asked, self._net = asked, stitch
        is_live = asked.windows.is_live
        self._features = Features(sparing(hear), Chunk(is_live=is_live))
        self._silence = self._features.silence(asked.windows.overlap if is_live else 0)
        self.maker = zlib.crc32(repr((asked.windows, asked.n_steps, origin)).encode())

    @property
    def n_ahead(self) -> int:
        """Frames of sound to be heard beyond a stretch's end."""
        return frames_ahead(self.asked.windows, self._features.chunk)

    def path(self, face: Character, wishes: Wishes, seed: int) -> MotionPath:
        """Of one session, whose ``seed`` chooses when it blinks."""
        asked = self.asked
        usual = asked.emotion if wishes.emotion is None else wishes.emotion
        conditions = Conditions(
            character=asked.reference or face,
            emotion=emotion(usual, wishes.controls),
            eyes_of_first=asked.eyes_of_first,
            parts=asked.parts,
        )
        windows = Windows(asked.windows, conditions, asked.limits)
        return MotionPath(
            self._features, windows, self._stitcher(face, wishes, seed), self._silence
        )

    def _stitcher(self, face: Character, wishes: Wishes, seed: int) -> Stitcher:
        reference, settings = self.asked.reference, self.asked.stitching
        settings = stitching(settings, wishes.controls, face.is_video)
        return Stitcher(
            source=face,
            settings=_faded(settings, wishes.fades),
            net=self._net,
            blinks=self._blinks(wishes.controls[BLINK_RATE], seed),
            scale_ratio=1.0 if reference is None else scale_ratio(reference, face),
        )

    def _blinks(self, rate: float, seed: int) -> Blinks | None:
        shifts = self.asked.blink
        if shifts is None:
            return None
        rows = blink_rows(-1, len(shifts), self.asked.blink_gaps, Random(seed), rate)
        return Blinks(shifts, rows)


def _faded(settings: StitchSettings, fades: Mapping[int, Controls]) -> StitchSettings:
    """``settings`` with these controls beside those that single frames have already."""
    frames = {i: {**settings.by_frame.get(i, {}), **controls} for i, controls in fades.items()}
    return replace(settings, by_frame={**settings.by_frame, **frames})

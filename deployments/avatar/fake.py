"""A declared fake: a face of flat colours, as slow and as faulty as a test wants it."""

import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from deployments.avatar.controls import checked
from deployments.avatar.engine import DrawRequest
from deployments.config import Settings
from deployments.cost_model import StageCost
from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.logical_gpu import loaded
from deployments.types import (
    AvatarCapabilities,
    ControlRange,
    Frame,
    Motion,
    PortraitSource,
    Stretch,
)

_STATE = struct.Struct("<4sI")
_MAGIC = b"FAK1"
_GAIN = ControlRange("gain", 0.0, 2.0, 1.0)
_HUES = np.array([(60, 0, 0), (0, 60, 0), (0, 0, 60)], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class FakePortrait:
    """All that the fake keeps of a picture: which colour it paints."""

    id: str
    hue: int


class FakeAvatar:
    """Obeys the whole contract of ``AvatarEngine`` at a cost that its settings declare.

    Motion is (n, 2): loudness of the frame's sound times the gain, and the frame number since the
    face was at rest. A frame's brightness shows the first, its hue the portrait, and a bar whose
    height counts frames shows the second.
    """

    class Settings(Settings):
        """What the fake costs and how it fails; calls of ``draw`` count from 1."""

        width_px: int = Field(default=64, ge=16, multiple_of=2)
        height_px: int = Field(default=96, ge=16, multiple_of=2)
        fps: int = Field(default=25, ge=1)
        context_s: float = Field(default=0.0, ge=0)
        batch: int = Field(default=8, ge=1)  # where no curve says what the cost is of
        cost: StageCost = StageCost()
        fail_load: bool = False
        fail_on_call: int | None = Field(default=None, ge=1)
        hang_on_call: int | None = Field(default=None, ge=1)
        hang_s: float = Field(default=60.0, ge=0)

        @model_validator(mode="after")
        def _say_the_batch_once(self) -> Self:
            if self.cost.batch and "batch" in self.model_fields_set:
                raise ValueError("cost.frames_per_s says how many at once: leave batch out")
            return self

    def __init__(self, settings: Settings) -> None:
        if settings.fail_load:
            raise EngineLoadError("the fake was told not to load", stage="avatar")
        self._settings = settings
        self._spend = loaded("avatar", settings.cost)
        self._n_calls = 0
        self.capabilities = AvatarCapabilities(
            engine="fake",
            width_px=settings.width_px,
            height_px=settings.height_px,
            fps=settings.fps,
            context_s=settings.context_s,
            batch=settings.cost.batch or settings.batch,
            controls=(_GAIN,),
        )

    def prepare(self, source: PortraitSource) -> FakePortrait:
        """Any picture will do."""
        return FakePortrait(source.id, int(source.image.sum()) % len(_HUES))

    def move(self, portrait: FakePortrait, stretch: Stretch) -> tuple[Motion, bytes]:
        """The loudness of each frame's own sound; the state is the frame counter.

        Raises:
            EngineInputError: a foreign state, an unknown control, or one out of range.
        """
        gain = checked((_GAIN,), stretch.controls)[_GAIN.name]
        self._spend(self._settings.cost.first_output_s)
        first = _counter(stretch.motion_state)
        loud = _loudness(stretch, self._settings.fps) * gain
        counter = np.arange(first, first + stretch.n_frames, dtype=np.float32)
        motion = np.stack([loud, counter], axis=1).astype(np.float32)
        n_rest = min(stretch.n_rest_frames, stretch.n_frames)
        if not n_rest:
            return motion, _STATE.pack(_MAGIC, first + stretch.n_frames)
        motion[-n_rest:] *= np.linspace(1, 0, n_rest + 1, dtype=np.float32)[1:, None]
        return motion, _STATE.pack(_MAGIC, 0)

    def draw(self, requests: Sequence[DrawRequest[FakePortrait]]) -> list[Frame]:
        """One flat frame each.

        Raises:
            EngineRuntimeError: this is the call that was declared to fail.
        """
        self._n_calls += 1
        if self._n_calls == self._settings.hang_on_call:
            time.sleep(self._settings.hang_s)
        if self._n_calls == self._settings.fail_on_call:
            raise EngineRuntimeError("this fake was told to fail", stage="avatar", retryable=True)
        self._spend(self._settings.cost.draw_s(len(requests)))
        return [self._paint(request) for request in requests]

    def _paint(self, request: DrawRequest[FakePortrait]) -> Frame:
        loud, counter = (float(value) for value in request.motion)
        height, width = self._settings.height_px, self._settings.width_px
        frame = np.empty((height, width, 3), dtype=np.uint8)
        frame[:] = _HUES[request.portrait.hue] + np.uint8(min(max(loud, 0.0), 1.0) * 150)
        bar = height - 1 - int(counter) % height
        frame[bar:, : width // 8] = 255
        return frame


def _counter(state: bytes | None) -> int:
    if state is None:
        return 0
    if len(state) != _STATE.size or not state.startswith(_MAGIC):
        raise EngineInputError("a motion state of another engine or version", stage="avatar")
    return int(_STATE.unpack(state)[1])


def _loudness(stretch: Stretch, fps: int) -> Motion:
    """(n_frames,) float32 root mean square of each frame's sound; silence where there is none."""
    rate = stretch.audio.sample_rate_hz
    edges = [round(i * rate / fps) for i in range(stretch.n_frames + 1)]
    parts = [stretch.audio.samples[a:b] for a, b in pairwise(edges)]
    levels = [float(np.sqrt(np.mean(part**2))) if len(part) else 0.0 for part in parts]
    return np.array(levels, dtype=np.float32)

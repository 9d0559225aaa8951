"""From sound to key points, for exactly the frames that a stretch asks for, in any pieces.

Sound -> features -> windows -> key points. Each part keeps what it needs in a state of its own;
``MotionState`` is all of them, at most 1 MB, and goes on anywhere.
"""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from deployments.avatar.ditto import state as wire
from deployments.avatar.ditto.early import Early
from deployments.avatar.ditto.features import N_FRAME, Chunk, Features, FeatureState
from deployments.avatar.ditto.stitcher import Stitcher, StitchState
from deployments.avatar.ditto.vector import N_MOTION, FloatArray
from deployments.avatar.ditto.windows import (
    WindowRequest,
    Windows,
    WindowSettings,
    WindowState,
)

_NONE, _NO_SOUND = np.zeros((0, N_MOTION), np.float32), np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class MotionState:
    """``seed`` of the noise; ``maker``: which settings made it, for whoever has several; ``ready``
    (k, 265): motion of frames that nobody has asked for yet."""

    seed: int
    features: FeatureState
    windows: WindowState
    stitch: StitchState = field(default_factory=StitchState)
    ready: FloatArray = field(default_factory=lambda: _NONE)
    early: Early = field(default_factory=Early)
    maker: int = 0

    def pack(self) -> bytes:
        w, f, s, e = self.windows, self.features, self.stitch, self.early
        numbers = {
            "seed": self.seed, "n_samples": f.n_samples, "n_rows": f.n_rows, "frame": s.frame,
            "n_waited": w.n_waited, "n_moved": w.n_moved, "n_heard": w.n_heard, "n_out": w.n_out,
            "n_windows": w.n_windows, "n_early": e.n_frames, "n_led": e.n_led, "maker": self.maker,
        }  # fmt: skip
        arrays = {"samples": f.samples, "waiting": w.waiting, "motion": w.motion}
        anchors = {"pose": w.anchor, "anchor": s.anchor, "gap": e.gap}
        arrays |= {name: array for name, array in anchors.items() if array is not None}
        return wire.pack(numbers, {"ready": self.ready, **arrays})

    @staticmethod
    def unpack(state: bytes) -> "MotionState":
        """Read what ``pack`` wrote.

        Raises:
            EngineInputError: of another engine or version, or damaged.
        """
        n, a = wire.unpack(state)
        counts = {name: n[name] for name in ("n_waited", "n_moved", "n_heard", "n_out")}
        windows = WindowState(
            a["waiting"], a["motion"], n_windows=n["n_windows"], anchor=a.get("pose"), **counts
        )
        return MotionState(
            seed=n["seed"],
            features=FeatureState(a["samples"], n["n_samples"], n["n_rows"]),
            windows=windows,
            stitch=StitchState(n["frame"], a.get("anchor")),
            ready=a["ready"],
            early=Early(n["n_early"], n["n_led"], a.get("gap")),
            maker=n["maker"],
        )


Moving: TypeAlias = Generator[WindowRequest, FloatArray, tuple[FloatArray, MotionState]]


def frames_ahead(settings: WindowSettings, chunk: Chunk) -> int:
    """Of sound beyond the last frame asked for, after which its motion is always ready."""
    n_held = chunk.current - 1 + chunk.future + 1  # a window of sound, less what was in time
    if settings.is_live:
        return 2 * settings.n_new - 1 + n_held
    return settings.n_window - 1 + settings.smooth // 2 + n_held


@dataclass(frozen=True, slots=True, eq=False)
class MotionPath:
    """What one session's motion is made with. ``silence`` (O, 1024) is what silence sounds like,
    the same for all sessions."""

    features: Features
    windows: Windows
    stitcher: Stitcher
    silence: FloatArray

    @property
    def n_ahead(self) -> int:
        """Frames of sound beyond the last one asked for, after which its motion is ready."""
        return frames_ahead(self.windows.settings, self.features.chunk)

    def begin(self, seed: int, maker: int = 0) -> MotionState:
        windows = self.windows.begin(self.silence)
        return MotionState(seed, self.features.begin(), windows, maker=maker)

    def move(
        self,
        state: MotionState,
        samples: FloatArray,
        n_frames: int,
        supposed: FloatArray = _NO_SOUND,
    ) -> Moving:
        """(n_frames, 2, 21, 3) key points, of the source and of the driven face, and the state
        after them. ``samples`` (n,), 16 kHz in [-1, 1], follow those of earlier calls.

        Where there is too little sound for so many frames, they are moved as if silence followed;
        if sound comes after all, see ``early``. ``supposed`` samples come before that silence, but
        are forgotten: they may come again, and otherwise.
        """
        state = yield from self._heard(state, samples)
        if len(state.ready) < n_frames:
            state = yield from self._made_early(state, supposed, n_frames)
        motion, ready = state.ready[:n_frames], state.ready[n_frames:]
        source, driven, stitch = self.stitcher.advance(state.stitch, motion)
        return np.stack((source, driven), axis=1), replace(state, stitch=stitch, ready=ready)

    def _heard(
        self, state: MotionState, samples: FloatArray
    ) -> Generator[WindowRequest, FloatArray, MotionState]:
        rows, features = self.features.advance(state.features, samples, is_last=False)
        motion, windows = yield from self.windows.advance(state.windows, rows, is_last=False)
        motion, early = state.early.follow(motion)
        ready = np.concatenate((state.ready, motion))
        stitch = state.stitch
        if stitch.anchor is None:  # live, motion counts from the silence before the first frame
            stitch = replace(stitch, anchor=windows.anchor)
        return replace(
            state, features=features, windows=windows, ready=ready, early=early, stitch=stitch
        )

    def _made_early(
        self, state: MotionState, sound: FloatArray, n_frames: int
    ) -> Generator[WindowRequest, FloatArray, MotionState]:
        """The end of a reply is made so, too: cut before it, its motion would else be another."""
        n_last = state.stitch.frame + n_frames + self.n_ahead
        n_wanted = n_last * N_FRAME - state.features.n_samples
        sound = np.pad(sound, (0, max(n_wanted - len(sound), 0)))
        later = yield from self._heard(state, sound)
        motion = later.ready[:n_frames]
        early = Early(state.early.n_frames + n_frames - len(state.ready), gap=motion[-1])
        return replace(state, ready=motion, early=early, stitch=later.stitch)

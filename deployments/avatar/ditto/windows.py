"""Windows of the diffusion joined into one motion, for any length and in any pieces.

The diffusion makes windows of L frames; each begins V = L - O frames after the one before and is
blended with it over F frames. Two ways of running share everything but four lines:

    offline   all is known: windows from the first frame on, large V, smoothed once more at the end
    live      O frames of silence come first, so that a frame is out after 2 V frames of sound

A stream never calls the network. It yields a ``WindowRequest`` and is sent the window, so that
whoever drives it can put the requests of several sessions into one batch. Motion is exactly one
row per row of sound, from one row up.

Source: windows, blending and smoothing as in the published implementation (goldens 07, 21), which
loses utterances shorter than V and adds up to V frames to others.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from deployments.avatar.ditto.condition import Conditions
from deployments.avatar.ditto.vector import N_BEFORE_EXP, N_MOTION, FloatArray
from deployments.errors import ConfigError


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """``overlap``: O. ``smooth``: frames that pose and shift are averaged over (odd).

    ``renew_every``: after so many windows the frame before the next one is the portrait itself
    (0: never), except for values ``kept`` [first, end), where given, which go on.
    """

    n_window: int = 80
    overlap: int = 10
    is_live: bool = False
    smooth: int = 3
    renew_every: int = 0
    kept: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.overlap < self.n_window:
            raise ConfigError(f"windows of {self.n_window} frames cannot overlap by {self.overlap}")
        if self.smooth % 2 != 1:
            raise ConfigError(f"motion is smoothed over an odd number of frames, not {self.smooth}")

    @property
    def n_new(self) -> int:
        """V: frames that a window adds."""
        return self.n_window - self.overlap

    @property
    def n_fused(self) -> int:
        """F: frames over which a window is blended with the one before."""
        return min(self.overlap, self.n_new) if self.is_live else self.overlap

    @property
    def n_needed(self) -> int:
        """Frames of motion that a later window may still change or go on from."""
        return max(self.n_fused + self.smooth // 2, self.overlap + 1)


@dataclass(frozen=True, slots=True, eq=False)
class WindowRequest:
    """Asks for window number ``index``: ``before`` (265,), ``condition`` (80, 1103)."""

    index: int
    before: FloatArray
    condition: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class WindowState:
    """What the next sound has to be joined to.

    ``waiting`` (k, 1024): sound that later windows need. ``motion`` (m, 265): the joined motion's
    end. ``n_waited``, ``n_moved``: rows that came before these, silence included. ``n_heard``,
    ``n_out``: rows of sound and of motion so far. ``anchor`` (265,): live, the pose that motion
    counts from, known after the first window.
    """

    waiting: FloatArray
    motion: FloatArray
    n_waited: int = 0
    n_moved: int = 0
    n_heard: int = 0
    n_out: int = 0
    n_windows: int = 0
    anchor: FloatArray | None = None


Stream: TypeAlias = Generator[WindowRequest, FloatArray, tuple[FloatArray, WindowState]]


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """``limits`` (2, 265): least and greatest value of motion that goes out, where given."""

    settings: WindowSettings
    conditions: Conditions
    limits: FloatArray | None = None

    def begin(self, silence: FloatArray) -> WindowState:
        """The start of an utterance; ``silence`` (O, 1024) is what silence sounds like, live."""
        waiting = silence if self.settings.is_live else silence[:0]
        return WindowState(waiting, np.zeros((0, N_MOTION), np.float32))

    def advance(self, state: WindowState, features: FloatArray, is_last: bool) -> Stream:
        """Sound (n, 1024) in; (m, 265) motion out, as far as no later sound can change it."""
        waiting = np.concatenate((state.waiting, features))
        state = replace(state, waiting=waiting, n_heard=state.n_heard + len(features))
        while len(state.waiting) >= self.settings.n_window:
            state = yield from self._window(state)
        if is_last and state.n_heard:
            n_more = 1 if self._is_live else -(-len(state.waiting) // self.settings.n_new)
            for _ in range(n_more):
                state = yield from self._window(state)
        return self._emit(state, is_last)

    @property
    def _is_live(self) -> bool:
        return self.settings.is_live

    @property
    def _n_silent(self) -> int:
        """Rows of the joined motion before the first that goes out."""
        return self.settings.overlap if self._is_live else 0

    def _window(self, state: WindowState) -> Generator[WindowRequest, FloatArray, WindowState]:
        """The state after one more window; missing rows are as the last one was."""
        n_window, n_new = self.settings.n_window, self.settings.n_new
        rows = state.waiting[:n_window]
        rows = _lengthened(rows, n_window) if self._is_live else rows
        condition = self.conditions.rows(rows, state.n_waited - self._n_silent)
        source = self.conditions.character.vector()
        before = frame_before(state.motion, source, state.n_windows, self.settings)
        prediction = yield WindowRequest(state.n_windows, before, _lengthened(condition, n_window))
        motion = joined(state.motion, prediction, self.settings)
        is_first = self._is_live and not state.n_windows
        return replace(
            state,
            waiting=state.waiting[n_new:],
            motion=motion,
            n_waited=state.n_waited + n_new,
            n_windows=state.n_windows + 1,
            anchor=self.limited(motion[0]) if is_first else state.anchor,
        )

    def _emit(self, state: WindowState, is_last: bool) -> tuple[FloatArray, WindowState]:
        """What is settled, and the state without what nobody needs any more."""
        first = state.n_out + self._n_silent - state.n_moved
        end = self._settled(state, is_last)
        motion = state.motion
        if not self._is_live and end > first:
            motion = motion[:end] if is_last else motion
            motion = smoothed(motion, self.settings.smooth, first, end)
        out = self.limited(motion[first : max(first, end)])
        oldest = first + len(out) - self.settings.smooth // 2
        cut = max(min(len(state.motion) - self.settings.n_needed, oldest), 0)
        state = replace(
            state,
            motion=state.motion[cut:],
            n_moved=state.n_moved + cut,
            n_out=state.n_out + len(out),
        )
        return out, state

    def _settled(self, state: WindowState, is_last: bool) -> int:
        """How many rows of ``state.motion`` can go out."""
        n_heard = state.n_heard + self._n_silent - state.n_moved
        if is_last:
            return n_heard
        n_open = self.settings.n_fused + self.settings.smooth // 2
        n_closed = len(state.motion) - (self.settings.n_new if self._is_live else n_open)
        return min(n_closed, n_heard)

    def limited(self, motion: FloatArray) -> FloatArray:
        return motion if self.limits is None else np.clip(motion, self.limits[0], self.limits[1])


def joined(motion: FloatArray, window: FloatArray, settings: WindowSettings) -> FloatArray:
    """(m + V, 265): ``window`` (80, 265) blended with the end of ``motion`` (m, 265), then
    averaged over time near the joint; all of a first window."""
    if not len(motion):
        return smoothed(window, settings.smooth, 0, len(window))
    n_new, n_fused = settings.n_new, settings.n_fused
    share = (np.arange(n_fused) / n_fused).astype(np.float32)[:, None]
    after = window[len(window) - n_new - n_fused :]
    blend = motion[-n_fused:] * (1 - share) + after[:n_fused] * share
    grown = np.concatenate((motion[:-n_fused], blend, after[n_fused:]))
    end = len(grown) - n_new
    return smoothed(grown, settings.smooth, end - n_fused, end + 1)


def smoothed(motion: FloatArray, width: int, first: int, end: int) -> FloatArray:
    """Rows [first, end) averaged over ``width`` rows (fewer at the ends of ``motion``); the mouth
    and all other expression stay as they are."""
    out, half = motion.copy(), width // 2
    for i in range(first, end):
        near = motion[max(i - half, 0) : i + half + 1, :N_BEFORE_EXP]
        out[i, :N_BEFORE_EXP] = near.mean(axis=0)
    return out


def frame_before(
    motion: FloatArray, source: FloatArray, n_windows: int, settings: WindowSettings
) -> FloatArray:
    """(265,) what window number ``n_windows`` goes on from; ``source`` (265,) is the portrait."""
    if not n_windows:
        return source
    last: FloatArray = motion[len(motion) - settings.overlap - 1]
    if not settings.renew_every or n_windows % settings.renew_every:
        return last
    renewed = source.copy()
    if settings.kept is not None:
        renewed[slice(*settings.kept)] = last[slice(*settings.kept)]
    return renewed


def _lengthened(rows: FloatArray, n: int) -> FloatArray:
    """At least ``n`` rows; those that are missing are as the last one."""
    return np.concatenate((rows, np.repeat(rows[-1:], max(n - len(rows), 0), axis=0)))

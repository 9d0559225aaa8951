"""From predicted motion to key points: what of the motion drives the face, and the controls.

Motion is of somebody's face, not of this one. So what counts is its difference from the first
frame, added to the portrait; the lips and, for a photograph, the eyes follow it, and everything
else of the expression stays as in the portrait. Controls come after that, then a small network
that keeps head and shoulders together.

Source: order, masks and constants of the published implementation (goldens 09).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.condition import Character
from deployments.avatar.ditto.pose import N_POINTS, degrees, key_points
from deployments.avatar.ditto.vector import POSE, WIDTHS, FloatArray, Info, from_vector
from deployments.errors import ConfigError

StitchNet: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]
"""Key points of the source and of the driven face, each (n, 21, 3) -> those to draw."""
Controls: TypeAlias = Mapping[str, Any]

CONTROLS = frozenset(
    {"vad_alpha", "fade_alpha", "fade_out_keys", "delta_exp"}
    | {f"{what}_{angle}" for what in ("delta", "alpha") for angle in POSE}
)
_EYE_POINTS, _LIP_POINTS = (11, 13, 15, 16, 18), (6, 12, 14, 17, 19, 20)
_SCALED = ("exp", *POSE)  # grow with the head of a reference character
_LEFT_X, _LEFT_Y, _RIGHT_X, _RIGHT_Y = 33, 34, 45, 46  # in exp: points 11 and 15, the eyeballs


@dataclass(frozen=True, slots=True, eq=False)
class StitchSettings:
    """``gains``: the parts that drive, and how strongly; None: all for a photograph, the
    expression for a video. ``drives_eyes``: None means that of a photograph. ``fade_to``: "s" the
    source, "d0" the first frame, "" nothing; ``fade_keys``: parts that fade (None: all).
    ``overall``: controls of every frame; ``by_frame``: of single frames, which go before those.

    Controls: ``delta_pitch``, ``delta_yaw``, ``delta_roll`` in degrees, ``delta_exp``; factors
    ``alpha_pitch``, ``alpha_yaw``, ``alpha_roll``; ``vad_alpha`` 0..1, how much is said;
    ``fade_alpha`` 0..1, how much is left, with its own ``fade_out_keys`` where given.

    Raises:
        ConfigError: a control or a part that does not exist.
    """

    gains: Mapping[str, float] | None = None
    is_relative: bool = True
    drives_eyes: bool | None = None
    fade_to: str = ""
    fade_keys: tuple[str, ...] | None = ("exp",)
    stitches: bool = True
    overall: Controls = field(default_factory=dict)
    by_frame: Mapping[int, Controls] = field(default_factory=dict)

    def __post_init__(self) -> None:
        asked = set(self.overall).union(*self.by_frame.values())
        if unknown := asked - CONTROLS:
            raise ConfigError(f"unknown controls of a frame: {', '.join(sorted(unknown))}")
        if unknown := set(self.gains or ()).union(self.fade_keys or ()) - set(WIDTHS):
            raise ConfigError(f"unknown parts of motion: {', '.join(sorted(unknown))}")


@dataclass(frozen=True, slots=True, eq=False)
class Blinks:
    """``shifts`` (n, 63): one blink, open in its first row; ``rows``: which one at each frame."""

    shifts: FloatArray
    rows: tuple[int, ...]

    def at(self, frame: int) -> FloatArray:
        return np.asarray(self.shifts[self.rows[frame % len(self.rows)]])


@dataclass(frozen=True, slots=True, eq=False)
class StitchState:
    """``frame``: number of the next frame. ``anchor`` (265,): what motion counts from.
    ``first``: the parts of the first frame, where motion fades to it. No reply of this engine
    does, so it is not packed."""

    frame: int = 0
    anchor: FloatArray | None = None
    first: Info | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Stitcher:
    """``scale_ratio``: the head of the reference character to that of the portrait."""

    source: Character
    settings: StitchSettings
    net: StitchNet
    blinks: Blinks | None = None
    scale_ratio: float = 1.0

    def advance(
        self, state: StitchState, motion: FloatArray
    ) -> tuple[FloatArray, FloatArray, StitchState]:
        """Key points of the source and of the driven face, each (n, 21, 3), of motion (n, 265)."""
        source, driven = np.zeros((2, len(motion), N_POINTS, 3), np.float32)
        still = None if self.source.is_video else key_points(self.source.infos[0])
        for i, row in enumerate(motion):
            info, state = self._driven(state, row)
            source[i] = key_points(self.source.info(state.frame)) if still is None else still
            driven[i] = key_points(info)
            state = replace(state, frame=state.frame + 1)
        if self.settings.stitches and len(motion):
            driven = self.net(source, driven)
        return source, driven, state

    def _driven(self, state: StitchState, row: FloatArray) -> tuple[Info, StitchState]:
        """The parts of this frame, and the state with what the first frame leaves."""
        if self.settings.is_relative and state.anchor is None:
            state = replace(state, anchor=row)
        source = self.source.info(state.frame)
        controls = {**self.settings.overall, **self.settings.by_frame.get(state.frame, {})}
        info = self._moved(source, from_vector(row), state.anchor)
        info["exp"] = self._expression(source["exp"], info["exp"], state.frame)
        controlled(info, source, controls)
        if self.settings.fade_to == "d0" and state.first is None:
            state = replace(state, first=dict(info))
        self._fade(info, source if self.settings.fade_to == "s" else state.first, controls)
        if self._drives_eyes:
            # The eyes go along with the head, as far as it turned from the source's first frame.
            first = self.source.infos[0]
            yaw, pitch = (_turned(info, first, angle) for angle in ("yaw", "pitch"))
            info["exp"] = looking(info["exp"], yaw, pitch)
        return info, state

    @property
    def _drives_eyes(self) -> bool:
        asked = self.settings.drives_eyes
        return not self.source.is_video if asked is None else asked

    def _gains(self) -> dict[str, float]:
        """Of the parts that drive."""
        asked = self.settings.gains
        gains = usual_gains(self.source.is_video) if asked is None else asked
        return {k: g * (self.scale_ratio if k in _SCALED else 1.0) for k, g in gains.items()}

    def _moved(self, source: Info, info: Info, anchor: FloatArray | None) -> dict[str, FloatArray]:
        """The source, with the parts that drive moved."""
        moved, start = dict(source), None if anchor is None else from_vector(anchor)
        for key, gain in self._gains().items():
            by = np.float32(gain)
            moved[key] = (
                info[key] * by if start is None else source[key] + (info[key] - start[key]) * by
            )
        return moved

    def _expression(self, source: FloatArray, driven: FloatArray, frame: int) -> FloatArray:
        """(63,): lips and eyes as driven, or eyes that blink by the table; the rest as it is."""
        out = source.copy()
        out[_LIPS] = driven[_LIPS]
        if self._drives_eyes:
            out[_EYES] = driven[_EYES]
            if self.blinks is not None:
                out[_EYES] = (source + self.blinks.at(frame))[_EYES]
        return out

    def _fade(self, info: dict[str, FloatArray], target: Info | None, controls: Controls) -> None:
        """Towards ``target``, in place; a pose in degrees fades to degrees."""
        if target is None or "fade_alpha" not in controls:
            return
        keys = controls.get("fade_out_keys", self.settings.fade_keys)
        left = np.float32(controls["fade_alpha"])
        for key in WIDTHS if keys is None else keys:
            part, end = info[key], target[key]
            if part.shape != end.shape:
                part, end = degrees(part), degrees(end)
            info[key] = _mixed(part, end, left)


def controlled(info: dict[str, FloatArray], source: Info, controls: Controls) -> None:
    """Apply how much is said, and turn and scale the head, in place."""
    if "vad_alpha" in controls:
        said = np.float32(min(controls["vad_alpha"], 1.0))
        info["exp"] = _mixed(info["exp"], source["exp"], said)
    for angle in POSE:
        if f"delta_{angle}" in controls:
            info[angle] = degrees(info[angle]) + np.float32(controls[f"delta_{angle}"])
        if f"alpha_{angle}" in controls:
            info[angle] = info[angle] * np.float32(controls[f"alpha_{angle}"])
    if "delta_exp" in controls:
        info["exp"] = info["exp"] + np.float32(controls["delta_exp"])


def usual_gains(is_video: bool) -> dict[str, float]:
    """A video has its own head's movement; a photograph gets all of the motion."""
    return dict.fromkeys(("exp",) if is_video else ("exp", *POSE, "t"), 1.0)


def scale_ratio(reference: Character, source: Character) -> float:
    """How much larger the head of the reference character is in its crop."""
    return float(reference.infos[0]["scale"][0] / source.infos[0]["scale"][0])


def looking(exp: FloatArray, yaw_deg: float, pitch_deg: float) -> FloatArray:
    """(63,): ``exp`` with the eyeballs' points moved by a share of such a turn."""
    across, up, exp = 0.26 * yaw_deg, 0.28 * pitch_deg, exp.copy()
    exp[_LEFT_X] += across * (0.0007 if across > 0 else 0.001)
    exp[_RIGHT_X] += across * (0.001 if across > 0 else 0.0007)
    exp[[_LEFT_Y, _RIGHT_Y]] -= np.float32(0.001 * up)
    return exp


def _turned(info: Info, source: Info, angle: str) -> float:
    """Degrees."""
    return float(degrees(info[angle])[0] - degrees(source[angle])[0])


def _mixed(part: FloatArray, other: FloatArray, share: np.float32) -> FloatArray:
    return part * share + other * (1 - share)


def _of_points(points: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.isin(np.arange(N_POINTS).repeat(3), points)


_EYES, _LIPS = _of_points(_EYE_POINTS), _of_points(_LIP_POINTS)

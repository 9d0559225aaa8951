"""What the published configuration asks for, as this project's settings.

Each key of it is read, or refused with what is wrong with it. Those that say how a file is made
are not asked: pictures come framed, a reply has any length, a portrait is one picture, and at a
reply's end the face comes to rest in the portrait.

Source: keys and fallbacks of the published implementation.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deployments.avatar.ditto.blink import Gaps
from deployments.avatar.ditto.condition import EMOTIONS, Character, emotion_of
from deployments.avatar.ditto.crop import CropSettings
from deployments.avatar.ditto.features import N_FEATURES
from deployments.avatar.ditto.stitcher import Controls, StitchSettings
from deployments.avatar.ditto.vector import N_MOTION, WIDTHS, FloatArray
from deployments.avatar.ditto.windows import WindowSettings
from deployments.errors import ConfigError

_LOG = logging.getLogger(__name__)
_CONDITIONS = {"emotion": 8, "eye_open": 2, "eye_ball": 6, "shape": 63}
_FLAGS = {"emotion": "use_emo", "eye_open": "use_eye_open", "eye_ball": "use_eye_ball",
          "shape": "use_sc"}  # fmt: skip
_FADES = {"fade_alpha", "fade_out_keys"}


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """``emotion`` (m, 8), ``limits`` (2, 265), ``blink`` (n, 63): see ``condition``, ``windows``
    and ``blink``. ``parts``: of the condition. ``reference``: the character that takes the
    portrait's place in it."""

    windows: WindowSettings
    n_steps: int
    stitching: StitchSettings
    crop: CropSettings
    emotion: FloatArray
    parts: tuple[str, ...]
    eyes_of_first: bool
    limits: FloatArray | None
    blink: FloatArray | None
    blink_gaps: Gaps
    reference: Character | None


def published(config: Mapping[str, Any]) -> Published:
    """What a configuration, as ``read_config`` gives it, asks for. It is not changed.

    Raises:
        ConfigError: a value that is none, or that this engine cannot follow; names its key.
    """
    if "hubert_cfg" not in config["base_cfg"]:
        raise ConfigError("the configuration hears with something else than HuBERT (hubert_cfg)")
    model = _read(config["audio2motion_cfg"], _MODEL)
    asked = _read(config["default_kwargs"], _ASKED)
    return Published(
        windows=_windows(model, asked),
        n_steps=asked["sampling_timesteps"],
        stitching=_stitching(asked),
        crop=_crop(asked),
        emotion=asked["emo"],
        parts=_parts(model),
        eyes_of_first=asked["eye_f0_mode"],
        limits=asked["v_min_max_for_clip"],
        blink=asked["delta_eye_arr"],
        blink_gaps=asked["delta_eye_open_n"],
        reference=asked["ch_info"],
    )


def _windows(model: Mapping[str, Any], asked: Mapping[str, Any]) -> WindowSettings:
    return WindowSettings(
        n_window=model["seq_frames"],
        overlap=asked["overlap_v2"],
        is_live=asked["online_mode"],
        smooth=asked["smo_k_d"],
        renew_every=asked["fix_kp_cond"],
        kept=asked["fix_kp_cond_dim"],
    )


def _stitching(asked: Mapping[str, Any]) -> StitchSettings:
    return StitchSettings(
        gains=asked["use_d_keys"],
        is_relative=asked["relative_d"],
        drives_eyes=asked["drive_eye"],
        fade_to="s",  # a reply begins and ends at rest, with all parts
        fade_keys=None,
        stitches=asked["flag_stitching"],
        overall=asked["overall_ctrl_info"],
        by_frame=asked["ctrl_info"],
    )


def _crop(asked: Mapping[str, Any]) -> CropSettings:
    return CropSettings(
        scale=asked["crop_scale"], y=asked["crop_vy_ratio"], turns=asked["crop_flag_do_rot"]
    )


def _parts(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Those parts of the condition that the network was trained with."""
    parts = tuple(part for part, flag in _FLAGS.items() if model[flag])
    width = N_FEATURES + sum(_CONDITIONS[part] for part in parts)
    if model["audio_feat_dim"] != width:
        text = f"audio_feat_dim is {model['audio_feat_dim']}, and sound with {parts} has {width}"
        raise ConfigError(text)
    return parts


Reader = Callable[[Any], Any]


def _read(given: Mapping[str, Any], keys: Mapping[str, tuple[Any, Reader]]) -> dict[str, Any]:
    """A value for each of ``keys``: a fallback, and what makes a value of what is given."""
    if unknown := set(given) - set(keys):
        _LOG.warning("ditto's configuration asks for what is not known: %s", sorted(unknown))
    values = {}
    for key, (fallback, reader) in keys.items():
        try:
            values[key] = reader(given.get(key, fallback))
        except ConfigError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise ConfigError(f"{key} in ditto's configuration: {error}") from None
    return values


def _ignored(_: Any) -> None:
    """Not asked; see above."""


def _only(*wanted: Any) -> Reader:
    def check(value: Any) -> Any:
        if value not in wanted:
            raise ValueError(f"{value!r}, where only {' or '.join(map(repr, wanted))} is known")
        return value

    return check


def _count(value: Any) -> int:
    if (n := int(value)) < 1:
        raise ValueError(f"{n}, where at least 1 is asked")
    return n


def _optional(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def _emotion(value: Any) -> FloatArray:
    """A label, some that are blended, one or more for each frame, or weights (m, 8)."""
    if isinstance(value, np.ndarray) and value.ndim == 2:
        return _rows(len(EMOTIONS))(value)
    rows = value if isinstance(value, list) and isinstance(value[0], Sequence) else [value]
    return np.stack([emotion_of(_labels(row)) for row in rows])


def _labels(value: Any) -> list[int]:
    labels = [int(label) for label in np.atleast_1d(value)]
    if not all(0 <= label < len(EMOTIONS) for label in labels):
        raise ValueError(f"{labels}, where emotions are numbered 0 to {len(EMOTIONS) - 1}")
    return labels


def _rows(width: int, least: int = 1) -> Callable[[Any], FloatArray]:
    def check(value: Any) -> FloatArray:
        rows = np.array(value, np.float32)
        if rows.ndim != 2 or rows.shape[1] != width or len(rows) < least:
            raise ValueError(f"shape {rows.shape}, where ({least} or more, {width}) is asked")
        return rows

    return check


def _limits(value: Any) -> FloatArray:
    return _rows(N_MOTION, 2)(value)[:2]


def _gaps(value: Any) -> Gaps:
    if not isinstance(value, list | tuple):
        return int(value)
    if not value or min(value) < 0:
        raise ValueError(f"{value}, where at least one number of frames is asked")
    return [int(gap) for gap in value]


def _gains(value: Any) -> dict[str, float]:
    if isinstance(value, Mapping):
        return {str(key): float(gain) for key, gain in value.items()}
    return dict.fromkeys(value, 1.0)


def _range(value: Any) -> tuple[int, int]:
    first, end = value
    return int(first), int(end)


def _controls(value: Any) -> Controls:
    if fades := _FADES & set(value):
        raise ValueError(f"{', '.join(sorted(fades))}: this engine fades by itself")
    return dict(value)


def _by_frame(value: Any) -> dict[int, Controls]:
    frames = value.items() if isinstance(value, Mapping) else enumerate(value)
    return {int(frame): _controls(controls) for frame, controls in frames}


def _character(value: Any) -> Character:
    infos = [_info(info) for info in value["x_s_info_lst"]]
    n = len(infos)
    if not n:
        raise ValueError("no frames")
    return Character(
        infos=infos,
        eye_open=_stacked(value["eye_open_lst"], n, 2),
        eye_ball=_stacked(value["eye_ball_lst"], n, 6),
        shape=np.array(value["sc"], np.float32).reshape(WIDTHS["exp"]),
    )


def _info(value: Mapping[str, Any]) -> dict[str, FloatArray]:
    widths = {**WIDTHS, "kp": WIDTHS["exp"]}
    return {key: np.array(value[key], np.float32).reshape(width) for key, width in widths.items()}


def _stacked(value: Any, n: int, width: int) -> FloatArray:
    return np.array(value, np.float32).reshape(n, width)


_MODEL: dict[str, tuple[Any, Reader]] = {
    "model_path": ("", _ignored),  # where files are is known; see ``files``
    "device": ("", _ignored),
    "motion_feat_dim": (N_MOTION, _only(N_MOTION)),
    "audio_feat_dim": (N_FEATURES + sum(_CONDITIONS.values()), int),
    "seq_frames": (80, _count),
    **dict.fromkeys(_FLAGS.values(), (True, bool)),
    "w2f_type": ("hubert", _only("hubert")),
}
_ASKED: dict[str, tuple[Any, Reader]] = {
    "max_size": (1920, _ignored),  # of a picture
    "template_n_frames": (-1, _ignored),  # of a source film
    "smo_k_s": (13, _ignored),  # of a source film
    "crop_scale": (2.3, float),
    "crop_vx_ratio": (0.0, _ignored),  # as it is in the published code
    "crop_vy_ratio": (-0.125, float),
    "crop_flag_do_rot": (True, bool),
    "emo": (4, _emotion),
    "eye_f0_mode": (False, bool),
    "ch_info": (None, _optional(_character)),
    "overlap_v2": (10, int),
    "fix_kp_cond": (0, int),
    "fix_kp_cond_dim": (None, _optional(_range)),
    "sampling_timesteps": (50, _count),
    "online_mode": (False, bool),
    "v_min_max_for_clip": (None, _optional(_limits)),
    "smo_k_d": (3, _count),
    "N_d": (-1, _only(-1)),
    "use_d_keys": (None, _optional(_gains)),
    "relative_d": (True, bool),
    "drive_eye": (None, _optional(bool)),
    "delta_eye_arr": (None, _optional(_rows(WIDTHS["exp"]))),
    "delta_eye_open_n": (0, _gaps),
    "fade_type": ("", _only("", "s")),
    "fade_out_keys": (("exp",), _ignored),
    "flag_stitching": (True, bool),
    "ctrl_info": ({}, _by_frame),
    "overall_ctrl_info": ({}, _controls),
}

"""What can be set of Ditto."""

from collections.abc import Mapping
from typing import Literal, Self, TypeAlias

import numpy as np
from pydantic import Field, FiniteFloat, field_validator, model_validator

from deployments.avatar.controls import checked
from deployments.avatar.ditto.condition import EMOTIONS
from deployments.avatar.ditto.controls import CONTROLS
from deployments.avatar.ditto.files import (
    CONFIGS,
    DETECTORS,
    LIVE_CONFIG,
    NETWORKS,
    OFFLINE_CONFIG,
    Runtime,
)
from deployments.avatar.ditto.vector import FloatArray
from deployments.config import Settings
from deployments.errors import EngineInputError
from deployments.weights import ModelNeed

FPS = 25  # of the published checkpoint, and of no other
NAME = "ditto"
SOURCE = "hf://digital-avatar/ditto-talkinghead"
LICENCE = "apache-2.0, its code; whether the weights too, its page has to say"
DETECTORS_LICENCE = "insightface-non-commercial"

Emotion: TypeAlias = Literal[
    "angry", "disgust", "fear", "happy", "neutral", "sad", "surprise", "contempt"
]


class EmotionAt(Settings):
    """A blend of emotions at a time of the reply; what is left of 1 is neutral."""

    at_s: float = Field(ge=0, le=3600)
    blend: dict[Emotion, FiniteFloat]

    @field_validator("blend")
    @classmethod
    def _is_a_blend(cls, blend: dict[Emotion, float]) -> dict[Emotion, float]:
        if any(share < 0 for share in blend.values()) or sum(blend.values()) > 1:
            raise ValueError("shares are at least 0, and together at most 1")
        return blend

    def row(self) -> FloatArray:
        """(8,)."""
        shares = dict.fromkeys(EMOTIONS, 0.0)
        shares.update(self.blend.items())
        shares["neutral"] += 1 - sum(shares.values())
        return np.array(list(shares.values()), np.float32)


class Look(Settings):
    """How a face behaves where a call does not say otherwise.

    ``controls``: of ``controls.CONTROLS``. ``emotion``: over the time of a reply, straight from one
    to the next; after the last it begins again. Empty: as the configuration has it.
    """

    controls: Mapping[str, float] = Field(default_factory=dict)
    emotion: tuple[EmotionAt, ...] = ()

    @field_validator("controls")
    @classmethod
    def _are_possible(cls, controls: Mapping[str, float]) -> Mapping[str, float]:
        try:
            checked(CONTROLS, controls)
        except EngineInputError as error:
            raise ValueError(error.message) from None
        return controls

    @field_validator("emotion")
    @classmethod
    def _is_in_order(cls, emotion: tuple[EmotionAt, ...]) -> tuple[EmotionAt, ...]:
        times = [one.at_s for one in emotion]
        if times != sorted(set(times)):
            raise ValueError("each at_s comes after the one before")
        return emotion

    def emotion_rows(self) -> FloatArray:
        """(m, 8), one for each frame up to the last time."""
        times = [one.at_s for one in self.emotion]
        frames = np.arange(round(times[-1] * FPS) + 1) / FPS
        rows = np.stack([one.row() for one in self.emotion])
        columns = [np.interp(frames, times, column) for column in rows.T]
        return np.stack(columns, axis=1).astype(np.float32)


class DittoSettings(Settings):
    """``None`` and ``auto`` follow the device, or the checkpoint's own configuration."""

    model: str = NAME  # or the path of a folder in the published layout
    runtime: Runtime = "torch"
    published_onnx: bool = False  # the published ONNX files instead of our export of the weights
    device: Literal["auto", "cpu", "cuda"] = "auto"
    # Of what draws; the motion is always made in float32. Half is bfloat16 with torch on a CPU,
    # which has no units for float16, and float16 everywhere else. "auto": half on a GPU.
    precision: Literal["auto", "half", "float32"] = "auto"
    # What this replica may take of its card: with ONNX Runtime all of it; else what torch takes, to
    # which come HuBERT in ONNX Runtime (torch) or the plans' weights (TensorRT), without a limit.
    memory_gb: float | None = Field(default=None, gt=0)
    n_threads: int | None = Field(default=None, ge=1)  # of torch on a CPU: as torch thinks
    width_px: int = Field(default=512, ge=64, multiple_of=2)
    height_px: int = Field(default=768, ge=64, multiple_of=2)
    batch: int = Field(default=8, ge=1, le=64)  # frames that are drawn together
    live_config: str = LIVE_CONFIG
    offline_config: str = OFFLINE_CONFIG
    # Frames that windows have in common: live, 70 hears 1.1 s ahead of a stretch and 75 0.7 s, at
    # twice the diffusion.
    live_overlap: int | None = Field(default=None, ge=1)
    offline_overlap: int | None = Field(default=None, ge=1)
    live_steps: int | None = Field(default=None, ge=1, le=1000)
    offline_steps: int | None = Field(default=None, ge=1, le=1000)
    # How far right of the face the middle of what the networks see lies, in sides of that square.
    # The configurations have a value for it too, which the published code does not use.
    crop_x: float = Field(default=0.0, ge=-0.5, le=0.5)
    detectors: Literal["mediapipe", "published"] = "mediapipe"
    # The name of the published detectors' licence, as a signature under it.
    detectors_licence: str = ""
    seed: int = Field(default=0, ge=0, lt=2**16)  # of what moves by chance
    look: Look = Look()
    looks: Mapping[str, Look] = Field(default_factory=dict)  # by avatar; goes before ``look``

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.device == "cpu" and self.memory_gb is not None:
            raise ValueError("memory_gb is of a GPU, and device is cpu")
        if self.device == "cpu" and self.runtime == "tensorrt":
            raise ValueError("TensorRT needs a GPU, and device is cpu")
        if self.published_onnx and self.runtime == "torch":
            raise ValueError("published_onnx: torch runs no ONNX files")
        return self

    def look_of(self, avatar_id: str) -> Look:
        """What is set of this avatar and, where nothing is, of all."""
        own = self.looks.get(avatar_id, self.look)
        controls = {**self.look.controls, **own.controls}
        return Look(controls=controls, emotion=own.emotion or self.look.emotion)

    def networks(self) -> Mapping[str, str]:
        """The files of the networks, by their names."""
        return NETWORKS[self.runtime, self.published_onnx]

    def need(self) -> ModelNeed:
        """All files of the checkpoint that are read with these settings."""
        configs = {f"{CONFIGS}/{name}" for name in (self.live_config, self.offline_config)}
        detectors = DETECTORS.values() if self.detectors == "published" else ()
        files = (*self.networks().values(), *sorted(configs), *detectors)
        return ModelNeed(NAME, SOURCE, files, licence=LICENCE)


def licence_refusal(settings: DittoSettings) -> str:
    """Why the published detectors may not be used; empty: they are not, or may be."""
    if settings.detectors == "mediapipe" or settings.detectors_licence == DETECTORS_LICENCE:
        return ""
    return (
        "Ditto's published detectors come from InsightFace's, which may be used non-commercially "
        f"only: to accept that, set detectors_licence: {DETECTORS_LICENCE} in the options of the "
        "stage avatar; detectors: mediapipe needs no licence"
    )

"""One frozen settings model per stage, with units in the names.

Read once, from the profile, when the graph is built. A misspelt key fails there.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Base of every settings model: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StageConfig(Settings):
    """What every stage needs: which engine, its own settings, and how long the caller waits."""

    engine: str
    options: dict[str, Any] = Field(default_factory=dict)  # validated by the engine's Settings
    first_output_timeout_s: float = Field(default=10.0, gt=0)
    stall_timeout_s: float = Field(default=5.0, gt=0)  # between two outputs of one stream
    n_attempts: int = Field(default=2, ge=1)
    # Without output for so long, a second attempt begins beside the first; None: never.
    hedge_after_s: float | None = Field(default=None, gt=0)
    hang_timeout_s: float = Field(default=30.0, gt=0)  # of one engine step; then a new replica


class VadConfig(Settings):
    """Voice activity detection runs inside the ingress, so it has no timeouts of its own."""

    engine: str = "silero"
    options: dict[str, Any] = Field(default_factory=dict)


class AsrConfig(StageConfig):
    engine: str = "moonshine"


class LlmConfig(StageConfig):
    engine: str = "rules"


class TtsConfig(StageConfig):
    engine: str = "espeak"


class EncoderConfig(Settings):
    """One setting for all replicas of a profile, so that their stretches share SPS and PPS.

    ``codec``: ``h264_nvenc`` takes the encoding units of an NVIDIA card, with presets p1 to p7.
    ``crf``: the lower, the better; of NVENC it is the constant quality (cq).
    """

    codec: Literal["libx264", "h264_nvenc"] = "libx264"
    preset: str = "veryfast"
    crf: int = Field(default=23, ge=0, le=51)
    frames_per_packet: int = Field(default=5, ge=1)  # 200 ms of video travel together


class AvatarConfig(StageConfig):
    engine: str = "warp2d"
    n_attempts: int = Field(default=3, ge=1)
    hedge_after_s: float | None = Field(default=0.5, gt=0)
    encoder: EncoderConfig = EncoderConfig()
    # Of those that people added, so many stay prepared on a replica, and for so long after use.
    added_portraits: int = Field(default=8, ge=1)
    keep_portrait_s: float = Field(default=600.0, gt=0)

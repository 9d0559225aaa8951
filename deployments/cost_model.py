"""What each stage costs on a machine that one does not have: declared, in ``cluster/models``.

All times are of a GPU that works for nobody else at that moment (of the wall where a stage does not
use it). What several stages make of one GPU together is ``deployments.logical_gpu``'s affair.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from deployments.config import Settings
from deployments.errors import ConfigError

STAGES = ("asr", "llm", "tts", "avatar")


class StageCost(Settings):
    """One stage's cost; without anything said it costs nothing.

    ``first_output_s``: what each call takes before anything comes of it (of the avatar: a stretch's
    motion). ``per_media_s``: what each second of media takes on top, which is the sound heard
    (ASR), the speech that the text becomes (LLM) or the speech made (TTS).
    ``frames_per_s``: frames drawn per second, by how many are drawn at once (avatar).
    ``gpu_memory_gb`` is what the card has in all; ``memory_gb`` what a replica takes of it.
    """

    first_output_s: float = Field(default=0.0, ge=0)
    per_media_s: float = Field(default=0.0, ge=0)
    frames_per_s: Mapping[int, float] = Field(default_factory=dict)
    memory_gb: float = Field(default=0.0, ge=0)
    load_s: float = Field(default=0.0, ge=0)
    uses_gpu: bool = False
    gpu_memory_gb: float = Field(default=24.0, gt=0)

    @field_validator("frames_per_s")
    @classmethod
    def _is_possible(cls, curve: Mapping[int, float]) -> Mapping[int, float]:
        if any(n < 1 or fps <= 0 for n, fps in curve.items()):
            raise ValueError("write batches from 1 on, each with the frames per second it gives")
        calls_s = [n / curve[n] for n in sorted(curve)]
        if calls_s != sorted(calls_s):
            raise ValueError("a larger batch cannot take less time than a smaller one")
        return curve

    @property
    def batch(self) -> int | None:
        """The largest batch that the curve knows."""
        return max(self.frames_per_s, default=None)

    def work_s(self, media_s: float) -> float:
        """Of one call until ``media_s`` of its media are there."""
        return self.first_output_s + self.per_media_s * media_s

    def draw_s(self, n_frames: int) -> float:
        """Of drawing so many frames at once; what exceeds the largest batch is drawn after it.

        Between the batches that the curve knows, seconds of a call are interpolated; fewer than the
        smallest take as long as the smallest.
        """
        if not self.frames_per_s or n_frames < 1:
            return 0.0
        batches = sorted(self.frames_per_s)
        calls_s = [n / self.frames_per_s[n] for n in batches]
        n_whole, rest = divmod(n_frames, batches[-1])
        return n_whole * calls_s[-1] + (float(np.interp(rest, batches, calls_s)) if rest else 0.0)


class CostModel(Settings):
    """A machine: its name, where the figures come from, and what each stage costs on it."""

    gpu: str
    source: str
    gpu_memory_gb: float = Field(default=24.0, gt=0)
    asr: StageCost
    llm: StageCost
    tts: StageCost
    avatar: StageCost

    @model_validator(mode="before")
    @classmethod
    def _tell_stages_the_card(cls, values: Any) -> Any:
        """A stage's record says what its card has, and a file says it once."""
        if not isinstance(values, dict) or "gpu_memory_gb" not in values:
            return values
        card = {"gpu_memory_gb": values["gpu_memory_gb"]}
        told = {s: {**card, **values[s]} for s in STAGES if isinstance(values.get(s), dict)}
        return {**values, **told}

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        for name in STAGES:
            stage: StageCost = getattr(self, name)
            if stage.gpu_memory_gb != self.gpu_memory_gb:
                raise ValueError("gpu_memory_gb is of the card: write it once, at the top")
            if (name == "avatar") != bool(stage.frames_per_s):
                raise ValueError("frames_per_s is what the avatar needs, and no other stage has it")
        if self.avatar.per_media_s:
            raise ValueError("the avatar's time is its frames_per_s; it has no per_media_s")
        return self


def read_cost_model(path: Path) -> CostModel:
    """The cost model in a YAML file.

    Raises:
        ConfigError: no such file, or the first thing in it that cannot be, in one line.
    """
    try:
        return CostModel.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise ConfigError(f"the cost model {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"the cost model {path.name} is not YAML") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"the cost model {path.name}, {where or 'as a whole'}: {what}") from None

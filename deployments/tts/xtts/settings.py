"""What can be set of XTTS, and where its weights come from."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from deployments.config import Settings
from deployments.weights import ModelNeed

LICENCE = "coqui-public-model-license"

FILES = ("config.json", "model.pth", "vocab.json", "speakers_xtts.pth")

MODEL = ModelNeed("xtts-v2", "hf://coqui/XTTS-v2", FILES, licence=LICENCE)

Language = Literal["en", "zh", "es"]


class XttsSettings(Settings):
    """``None`` and ``auto`` follow the device, or the model's own configuration."""

    # The name of the licence, as a signature under it: without it the engine does not load.
    licence: str = ""
    model: str = MODEL.name  # or the path of a folder
    device: Literal["auto", "cpu", "cuda"] = "auto"
    # Of the language model, which is most of the memory and time: float16 on a GPU. The vocoder is
    # small, and always float32.
    precision: Literal["auto", "float16", "float32"] = "auto"
    # What this replica was promised of its card; torch takes no more.
    memory_gb: float | None = Field(default=None, gt=0)
    n_threads: int | None = Field(default=None, ge=1)  # on a CPU: as torch thinks
    languages: tuple[Language, ...] = Field(default=("en", "zh", "es"), min_length=1)
    temperature: float | None = Field(default=None, gt=0, le=1)  # low is dull, high is odd
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    seed: int = 0
    lead_s: float = Field(default=0.06, ge=0.05, le=0.5)
    pause_s: float = Field(default=0.35, ge=0.0, le=2.0)
    block_s: float = Field(default=0.15, ge=0.1, le=0.15)
    # Latents that are decoded together, 46 ms of speech each: the first are few, for a quick first
    # sound; then twice as many each time, because each piece costs six more as its surroundings.
    first_piece: int = Field(default=10, ge=1, le=64)
    largest_piece: int = Field(default=24, ge=1, le=256)

    @field_validator("model")
    @classmethod
    def _is_known(cls, model: str) -> str:
        if model != MODEL.name and "/" not in model:
            raise ValueError(f"write {MODEL.name}, or the path of a folder")
        return model

    @model_validator(mode="after")
    def _asks_for_one_device(self) -> Self:
        if self.device == "cpu" and self.memory_gb is not None:
            raise ValueError("memory_gb is of a GPU, and device is cpu")
        return self

"""What can be set of faster-whisper, and the models that it knows by name."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from deployments.config import Settings
from deployments.weights import ModelNeed

_FILES = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")
_V3_FILES = (
    "config.json", "model.bin", "preprocessor_config.json", "tokenizer.json", "vocabulary.json",
)  # fmt: skip


def _need(name: str, source: str, files: tuple[str, ...] = _FILES) -> ModelNeed:
    return ModelNeed(f"faster-whisper-{name}", f"hf://{source}", files, licence="MIT")


MODELS: Mapping[str, ModelNeed] = {
    "tiny": _need("tiny", "Systran/faster-whisper-tiny"),
    "base": _need("base", "Systran/faster-whisper-base"),
    "small": _need("small", "Systran/faster-whisper-small"),
    "medium": _need("medium", "Systran/faster-whisper-medium"),
    "large-v3": _need("large-v3", "Systran/faster-whisper-large-v3", _V3_FILES),
    "large-v3-turbo": _need(
        "large-v3-turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo", _V3_FILES
    ),
}
"""Source: the names and addresses that faster-whisper 1.2.1 itself knows."""

ComputeType = Literal["auto", "int8", "int8_float32", "int8_float16", "int16", "float16", "float32"]


class VadSettings(Settings):
    """How speech is found before the model hears it, by the Silero network in faster-whisper."""

    threshold: float = Field(default=0.5, gt=0, lt=1)  # Silero's published default
    min_silence_s: float = Field(default=0.3, gt=0)  # a shorter pause is part of the speech
    padding_s: float = Field(default=0.2, ge=0, le=1)  # on both sides, for soft onsets and ends


class JudgementSettings(Settings):
    """When what the model writes is not believed; see ``judgement``.

    Source of the first three: the Whisper paper (Radford et al. 2022, section 4.5), and Whisper's
    own defaults. Of the last: what the VAD called speech on 2026-11-21. Of espeak's voice 0.87 to
    0.95 of a window, in pink noise as loud as itself too; of a synthetic voice without words 0.03
    to 0.1 of 10 s and more; of silence, white and pink noise, hum, chords and plucked notes none.
    """

    no_speech_prob: float = Field(default=0.6, ge=0, le=1)
    log_prob: float = Field(default=-1.0, le=0)  # mean of a token, natural logarithm
    compression_ratio: float = Field(default=2.4, gt=1)
    min_speech_s: float = Field(default=0.25, ge=0)  # as the ingress asks of a recording
    min_speech_share: float = Field(default=0.5, ge=0, le=1)


class FasterWhisperSettings(Settings):
    """``None`` and ``auto`` follow the device."""

    # A name of MODELS, or the path of a folder. On a GPU large-v3-turbo, on a CPU small.
    model: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    # float16 on a GPU (int8_float16 where memory_gb is too little for it), int8 on a CPU.
    compute_type: ComputeType = "auto"
    # What this replica was promised of its card. CTranslate2 knows no limit, so the precision and
    # the batch are chosen to stay below it by estimate, and too little is refused.
    memory_gb: float | None = Field(default=None, gt=0)
    n_threads: int | None = Field(default=None, ge=1)  # on a CPU: all cores, at most 4
    # As Whisper. On a CPU, 25 tokens of small take 0.25 s of processor time more than with 1, of
    # 3.8 s that five seconds of speech take in all.
    beam_size: int = Field(default=5, ge=1, le=10)
    # Utterances at once: 4 on a GPU. On a CPU 1: four together take longer than one after the other
    # (encoding 2.5 s of processor time alone, 3.7 s each of four), and the first waits for all.
    # Source: small's shape in int8 on a busy Xeon of two cores, 2026-11-21.
    batch: int | None = Field(default=None, ge=1, le=32)
    languages: tuple[str, ...] = Field(default=("en", "zh", "es"), min_length=1)
    # What the model believes was said before: it goes on in the same script and with punctuation.
    prompts: Mapping[str, str] = {"zh": "以下是普通话的句子，用简体字和标点符号书写。"}
    # Tried in turn until the text is believable. Whisper's own ladder has six steps; a person who
    # waits for an answer has the patience for three.
    temperatures: tuple[float, ...] = Field(default=(0.0, 0.4, 0.8), min_length=1)
    vad: VadSettings = VadSettings()
    judgement: JudgementSettings = JudgementSettings()

    @field_validator("model")
    @classmethod
    def _is_known(cls, model: str | None) -> str | None:
        if model is not None and model not in MODELS and "/" not in model:
            raise ValueError(f"write one of {', '.join(MODELS)}, or the path of a folder")
        return model

    @field_validator("temperatures")
    @classmethod
    def _climbs(cls, temperatures: tuple[float, ...]) -> tuple[float, ...]:
        if list(temperatures) != sorted(set(temperatures)) or not 0 <= temperatures[-1] <= 1:
            raise ValueError("write growing numbers from 0 to 1")
        return temperatures

    @model_validator(mode="after")
    def _asks_for_one_device(self) -> Self:
        if self.device == "cpu" and self.memory_gb is not None:
            raise ValueError("memory_gb is of a GPU, and device is cpu")
        return self

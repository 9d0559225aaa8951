"""What it takes to speak in somebody's voice: made from a sample, kept and sent as bytes."""

import unicodedata
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.resample import resampled
from deployments.types import AudioChunk, CustomVoice

SAMPLE_RATE_HZ = 22_050  # at which the model hears a sample
_SILENCE = 1e-3  # root mean square, -60 dB of full scale: nobody speaks here
_MAX_STATE_BYTES = 1_000_000
_UNREADABLE = (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True, eq=False)
class Timbre:
    """A voice. ``prompt``: (32, width) float32, what the language model is told before the text;
    ``speaker``: (512,) float32, what the vocoder is told."""

    prompt: NDArray[np.float32]
    speaker: NDArray[np.float32]


def cloned(model: Any, sample: AudioChunk) -> Timbre:
    """The sample's voice.

    Raises:
        EngineInputError: nothing can be heard in it.
        EngineRuntimeError: the model made no numbers of it.
    """
    import torch

    sound = resampled(sample, SAMPLE_RATE_HZ).samples
    if not len(sound) or float(np.sqrt(np.mean(np.square(sound)))) < _SILENCE:
        raise EngineInputError("there is no voice in this sample", stage="tts")
    config = model.config
    heard = torch.from_numpy(sound[np.newaxis, : SAMPLE_RATE_HZ * int(config.max_ref_len)].copy())
    prompt = model.get_gpt_cond_latents(
        heard, SAMPLE_RATE_HZ, length=config.gpt_cond_len, chunk_length=config.gpt_cond_chunk_len
    )
    speaker = model.get_speaker_embedding(heard.to(model.device), SAMPLE_RATE_HZ)
    timbre = _timbre(prompt, speaker)
    if not (np.isfinite(timbre.prompt).all() and np.isfinite(timbre.speaker).all()):
        raise EngineRuntimeError("xtts made no voice of this sample", stage="tts")
    return timbre


def to_bytes(timbre: Timbre, voice_format: str) -> bytes:
    """The same voice gives the same bytes; no pickle in them."""
    file = BytesIO()
    np.savez(file, format=np.array(voice_format), prompt=timbre.prompt, speaker=timbre.speaker)
    return file.getvalue()


def from_bytes(voice: CustomVoice, voice_format: str, like: Timbre) -> Timbre:
    """The voice that ``to_bytes`` was given.

    Args:
        like: any voice of this model, whose arrays have the same shape.

    Raises:
        EngineInputError: not such bytes, or of another model.
    """
    try:
        return _read(voice.state, voice_format, like)
    except _UNREADABLE as error:
        said = " ".join(str(error).split())
        text = f"the state of the voice {voice.id} is not of {voice_format}: {said}"
        raise EngineInputError(text, stage="tts") from error


def _read(state: bytes, voice_format: str, like: Timbre) -> Timbre:
    if len(state) > _MAX_STATE_BYTES:
        raise ValueError(f"{len(state)} bytes are too many")
    with np.load(BytesIO(state), allow_pickle=False) as arrays:
        if (found := str(arrays["format"])) != voice_format:
            raise ValueError(f"it is of {found}")
        timbre = Timbre(arrays["prompt"], arrays["speaker"])
    for ours, given in ((like.prompt, timbre.prompt), (like.speaker, timbre.speaker)):
        if given.shape != ours.shape or given.dtype != np.float32 or not np.isfinite(given).all():
            raise ValueError(f"an array {given.dtype}{given.shape} is not {ours.dtype}{ours.shape}")
    return timbre


def builtin(model: Any, folder: Path) -> dict[str, tuple[str, Timbre]]:
    """The voices that come with the model: their names and timbres, by an id for the wire.

    Raises:
        EngineLoadError: there is none.
    """
    voices: dict[str, tuple[str, Timbre]] = {}
    for name, arrays in (model.speaker_manager.speakers if model.speaker_manager else {}).items():
        timbre = _timbre(arrays["gpt_cond_latent"], arrays["speaker_embedding"])
        voices[_unused(_identifier(name), voices)] = (name, timbre)
    if not voices:
        text = f"xtts: {folder / 'speakers_xtts.pth'} has no voices, and one must be the default"
        raise EngineLoadError(text, stage="tts")
    return voices


def _timbre(prompt: Any, speaker: Any) -> Timbre:
    """From torch's (1, 32, width) and (1, 512, 1)."""
    return Timbre(
        np.ascontiguousarray(prompt[0].float().cpu().numpy()),
        np.ascontiguousarray(speaker[0, :, 0].float().cpu().numpy()),
    )


def _identifier(name: str) -> str:
    """Letters, digits and hyphens, at least two and at most 56 of them."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in plain).split()
    return "-".join(["voice", *words] if len("-".join(words)) < 2 else words)[:56]


def _unused(identifier: str, taken: dict[str, Any]) -> str:
    names = [identifier, *(f"{identifier}-{n}" for n in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)
